// People in 3D on a 2D canvas, in the camera frame: x right, y down, z away from the camera, in mm.
const YAW = -0.5, PITCH = 0.3, STEP = 0.1;
const NEAR_MM = 200;

export class Space {
  // `bones`: [joint, parent, side] per bone; `root`: the joint that a number stands beside.
  constructor(canvas, bones, root) {
    this.canvas = canvas;
    this.bones = bones;
    this.root = root;
    this.people = [];
    this.target = [0, 0, 3000];
    this.reach = 2000;
    this.floor = 900;
    this.pointers = new Map();
    this.reset();
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.drag(event));
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, (event) => this.pointers.delete(event.pointerId));
    }
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoomBy(Math.exp(-event.deltaY / 500));
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  reset() {
    [this.yaw, this.pitch, this.zoom] = [YAW, PITCH, 1];
    this.draw();
  }

  show(people) {
    this.people = people;
    if (people.length) {
      const joints = people.flatMap((person) => person.joints_mm);
      const middle = [0, 1, 2].map((axis) => mean(people.map((person) => person.root_mm[axis])));
      const reach = Math.max(1200, ...joints.map((joint) => Math.hypot(...joint.map((v, i) => v - middle[i]))));
      const ease = this.seen ? 0.1 : 1;
      this.target = this.target.map((value, axis) => value + ease * (middle[axis] - value));
      this.reach += ease * (reach - this.reach);
      this.floor += ease * (Math.max(...joints.map((joint) => joint[1])) - this.floor);
      this.seen = true;
    }
    this.draw();
  }

  press(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.canvas.focus({ preventScroll: true });
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
  }

  drag(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const spread = this.spread();
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (this.pointers.size > 1) return this.zoomBy(this.spread() / spread);
    this.turn((event.clientX - before[0]) / 150, (event.clientY - before[1]) / 150);
  }

  spread() {
    const [one, other] = [...this.pointers.values()];
    return other ? Math.max(1, Math.hypot(one[0] - other[0], one[1] - other[1])) : 1;
  }

  key(event) {
    const turns = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    const zooms = { "+": 1.15, "=": 1.15, "-": 1 / 1.15 };
    if (turns[event.key]) this.turn(...turns[event.key]);
    else if (zooms[event.key]) this.zoomBy(zooms[event.key]);
    else if (event.key === "0") this.reset();
    else return;
    event.preventDefault();
  }

  turn(yaw, pitch) {
    this.yaw = (this.yaw + yaw) % (2 * Math.PI);
    this.pitch = Math.min(1.5, Math.max(-0.3, this.pitch + pitch));
    this.draw();
  }

  zoomBy(factor) {
    this.zoom = Math.min(8, Math.max(0.15, this.zoom * factor));
    this.draw();
  }

  // Draws once per frame of the screen, however many events come.
  draw() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      this.paint();
    });
  }

  paint() {
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    if (!width || !height) return;
    [this.canvas.width, this.canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    const context = this.canvas.getContext("2d");
    context.scale(ratio, ratio);
    context.lineCap = "round";
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`);
    const place = this.projection(width, height);
    const line = (from, to, stroke, wide) => {
      const [start, end] = [place(from), place(to)];
      if (!start || !end) return;
      context.strokeStyle = stroke;
      context.lineWidth = wide;
      context.beginPath();
      context.moveTo(start[0], start[1]);
      context.lineTo(end[0], end[1]);
      context.stroke();
    };
    this.grid(line, colour("line"));
    this.cameraSymbol(line, colour("faint"));
    const bones = this.people.flatMap((person) => this.bones.map(([joint, parent, side]) => {
      const [from, to] = [person.joints_mm[parent], person.joints_mm[joint]];
      return { from, to, side, depth: (place(from)?.[2] ?? 0) + (place(to)?.[2] ?? 0) };
    }));
    bones.sort((one, other) => other.depth - one.depth);
    for (const bone of bones) line(bone.from, bone.to, colour(bone.side), Math.min(7, Math.max(1.5, 40000 / bone.depth)));
    context.fillStyle = colour("text");
    context.font = "13px system-ui, sans-serif";
    for (const person of this.people) {
      const at = place(person.joints_mm[this.root]);
      if (at && person.number !== null) context.fillText(String(person.number), at[0] + 10, at[1]);
    }
    const degrees = (angle) => Math.round((angle * 180) / Math.PI);
    this.canvas.setAttribute("aria-label",
      `${this.people.length} people in 3D, turned by ${degrees(this.yaw)} degrees, from ${degrees(this.pitch)} degrees above`);
  }

  // Returns a function from a point to [x, y, depth] on the canvas, or null behind the viewer.
  projection(width, height) {
    const [cosYaw, sinYaw] = [Math.cos(this.yaw), Math.sin(this.yaw)];
    const [cosPitch, sinPitch] = [Math.cos(this.pitch), Math.sin(this.pitch)];
    const away = (this.reach * Math.max(3.2, (5.2 * height) / width)) / this.zoom;
    const focal = 1.75 * Math.min(width, height);
    return (point) => {
      const [x, y, z] = point.map((value, axis) => value - this.target[axis]);
      const across = cosYaw * x + sinYaw * z, along = cosYaw * z - sinYaw * x;
      const depth = away + sinPitch * y + cosPitch * along;
      if (depth < NEAR_MM) return null;
      const scale = focal / depth;
      return [width / 2 + scale * across, height / 2 + scale * (cosPitch * y - sinPitch * along), depth];
    };
  }

  // Lines on the floor, a metre apart, from the camera to behind the people.
  grid(line, stroke) {
    const reach = Math.min(12, Math.ceil(this.reach / 1000) + 1);
    const [left, right] = [Math.round(this.target[0] / 1000) - reach, Math.round(this.target[0] / 1000) + reach];
    const far = Math.round(this.target[2] / 1000) + reach, near = Math.max(0, far - 2 * reach);
    const at = (x, z) => [1000 * x, this.floor, 1000 * z];
    for (let x = left; x <= right; x++) {
      for (let z = near; z < far; z++) line(at(x, z), at(x, z + 1), stroke, 1);
    }
    for (let z = near; z <= far; z++) {
      for (let x = left; x < right; x++) line(at(x, z), at(x + 1, z), stroke, 1);
    }
  }

  // The camera at the origin, with its field of view.
  cameraSymbol(line, stroke) {
    const corners = [[-240, -135, 400], [240, -135, 400], [240, 135, 400], [-240, 135, 400]];
    corners.forEach((corner, index) => {
      line([0, 0, 0], corner, stroke, 1);
      line(corner, corners[(index + 1) % 4], stroke, 1);
    });
  }
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
