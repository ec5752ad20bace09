// The interactive part of the report: plots with a choice of axes, filters, and a viewer of pictures and poses.
// All text goes in by textContent, so names in results cannot become markup.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.getElementById("explorer");
  if (!root || !data.options.length) return;
  const NS = "http://www.w3.org/2000/svg";
  const WIDTH = 560, HEIGHT = 360, LEFT = 58, RIGHT = 18, TOP = 16, BOTTOM = 46;
  const measures = new Map(data.measures.map(measure => [measure.key, measure]));
  const state = { x: data.x, y: data.y, precision: new Set(), size: new Set(), chosen: null, picture: 0, pair: 0 };

  const element = (name, attributes = {}, ...children) => put(document.createElement(name), attributes, children);
  const drawing = (name, attributes = {}, ...children) => put(document.createElementNS(NS, name), attributes, children);
  function put(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") node.addEventListener(name, value);
      else if (value !== null && value !== undefined) node.setAttribute(name, value);
    }
    node.append(...children.filter(child => child !== null && child !== undefined));
    return node;
  }
  const shown = (value, measure) => value === undefined ? "–" : value.toFixed(measure.digits);

  // Controls
  function chooser(label, axis, keys) {
    const select = element("select", { change: event => { state[axis] = event.target.value; draw(); } });
    for (const key of keys) {
      const option = element("option", { value: key }, measures.get(key).label);
      option.selected = key === state[axis];
      select.append(option);
    }
    return element("label", {}, label + " ", select);
  }
  function filter(legend, field) {
    const values = [...new Set(data.options.map(option => option[field]).filter(Boolean))];
    if (values.length < 2) return null;
    const boxes = values.map(value => element("label", {}, element("input", {
      type: "checkbox", checked: "", value,
      change: event => { state[field][event.target.checked ? "delete" : "add"](value); draw(); },
    }), " " + value));
    return element("fieldset", {}, element("legend", {}, legend), ...boxes);
  }
  function controls() {
    const costs = data.measures.filter(measure => measure.cost).map(measure => measure.key);
    const others = data.measures.filter(measure => !measure.cost).map(measure => measure.key);
    return element("div", { class: "controls" },
      chooser("Across", "x", costs), chooser("Up", "y", others),
      filter("Precision", "precision"), filter("Input size", "size"));
  }

  // Plots
  function ticks(low, high, most) {
    const span = Math.max(high - low, 1e-9), base = 10 ** Math.floor(Math.log10(span / most));
    const step = [1, 2, 5, 10].map(factor => factor * base).find(step => span / step <= most);
    const first = Math.floor(low / step + 1e-9), last = Math.ceil(high / step - 1e-9);
    return Array.from({ length: last - first + 1 }, (_, index) => +((first + index) * step).toPrecision(10));
  }
  const visible = option => !state.precision.has(option.precision) && !state.size.has(option.size) &&
    state.x in option.values && state.y in option.values;
  function axes(options) {
    const [xs, ys] = ["x", "y"].map(axis => {
      const values = options.map(option => option.values[state[axis]]);
      return state[axis] in data.limits ? [...values, data.limits[state[axis]]] : values;
    });
    const low = Math.min(...ys), high = Math.max(...ys);
    const isPercentage = measures.get(state.y).up;
    const pad = Math.max(0.15 * (high - low), (10 - high + low) / 2);
    const xTicks = ticks(0, Math.max(...xs) || 1, 6);
    const yTicks = isPercentage && high > 2 ? ticks(Math.max(0, low - pad), high + pad, 5) : ticks(0, high || 1, 5);
    const scale = (value, marks, from, to) => from + (value - marks[0]) / (marks.at(-1) - marks[0]) * (to - from);
    return {
      xTicks, yTicks,
      x: value => scale(value, xTicks, LEFT, WIDTH - RIGHT),
      y: value => scale(value, yTicks, HEIGHT - BOTTOM, TOP),
    };
  }
  function grid(at) {
    const bottom = HEIGHT - BOTTOM, right = WIDTH - RIGHT, parts = [];
    const text = (attributes, content) => drawing("text", attributes, content);
    for (const value of at.yTicks) {
      parts.push(drawing("line", { class: "grid", x1: LEFT, x2: right, y1: at.y(value), y2: at.y(value) }),
        text({ class: "tick", x: LEFT - 8, y: at.y(value) + 4, "text-anchor": "end" }, String(value)));
    }
    for (const value of at.xTicks) {
      parts.push(text({ class: "tick", x: at.x(value), y: bottom + 18, "text-anchor": "middle" }, String(value)));
    }
    parts.push(drawing("line", { class: "axis", x1: LEFT, x2: right, y1: bottom, y2: bottom }),
      text({ class: "name", x: (LEFT + right) / 2, y: HEIGHT - 6, "text-anchor": "middle" }, measures.get(state.x).label),
      text({ class: "name", transform: `translate(14 ${(TOP + bottom) / 2}) rotate(-90)`, "text-anchor": "middle" },
        measures.get(state.y).label));
    return drawing("g", { "aria-hidden": "true" }, ...parts);
  }
  function limitLines(at) {
    const parts = [];
    if (state.x in data.limits) {
      const x = at.x(data.limits[state.x]);
      parts.push(drawing("line", { class: "limit", x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM }));
    }
    if (state.y in data.limits) {
      const y = at.y(data.limits[state.y]);
      parts.push(drawing("line", { class: "limit", x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y }));
    }
    return parts;
  }
  function front(at, options) {
    const up = measures.get(state.y).up, loss = option => (up ? -1 : 1) * option.values[state.y];
    const inside = options.filter(option => !option.outside.length)
      .sort((a, b) => a.values[state.x] - b.values[state.x] || loss(a) - loss(b));
    const points = [];
    let best = Infinity;
    for (const option of inside) {
      if (loss(option) >= best) continue;
      if (points.length) points.push([at.x(option.values[state.x]), points.at(-1)[1]]);
      points.push([at.x(option.values[state.x]), at.y(option.values[state.y])]);
      best = loss(option);
    }
    return points.length > 1 ? drawing("polyline", { class: "front", points: points.map(point => point.join(",")).join(" ") }) : null;
  }
  function shape(option, x, y) {
    const kind = ["float32", "float16", "bfloat16", "int8"].includes(option.precision) ? option.precision : "float32";
    const style = `mark ${kind}${option.verdict === "accepted" ? "" : " hollow"}${option.outside.length ? " gray" : ""}`;
    if (kind === "int8") return drawing("path", { class: style, d: `M${x} ${y - 8}l8 8l-8 8l-8-8z` });
    if (kind.endsWith("float16")) return drawing("rect", { class: style, x: x - 6, y: y - 6, width: 12, height: 12 });
    return drawing("circle", { class: style, cx: x, cy: y, r: 7 });
  }
  function sentence(option) {
    const parts = [state.x, state.y].map(key => {
      const measure = measures.get(key), interval = option.intervals[key];
      const range = interval ? ` (${interval.map(end => end.toFixed(measure.digits)).join(" to ")})` : "";
      return `${measure.label}: ${shown(option.values[key], measure)}${range}`;
    });
    const role = option.role ? `, ${option.role}` : "";
    const why = option.outside.length ? `; outside the limits: ${option.outside.join("; ")}` : "";
    return `${option.name}${role}. ${parts.join("; ")}. ${option.status}, ${option.verdict}${why}`;
  }
  function mark(option, at, tip) {
    const x = at.x(option.values[state.x]), y = at.y(option.values[state.y]);
    const describe = () => { tip.textContent = sentence(option); highlight(option, true); };
    const forget = () => highlight(option, false);
    const act = event => {
      if (event.type === "keydown" && event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      view(option);
    };
    const interval = option.intervals[state.x];
    const whisker = interval && drawing("line", { class: "whisker " + option.precision,
      x1: at.x(interval[0]), x2: Math.min(at.x(interval[1]), WIDTH - RIGHT), y1: y, y2: y });
    return drawing("g", { class: "option" + (option.role === "recommended" ? " recommended" : ""), tabindex: 0, role: "button",
      "aria-label": sentence(option), "data-option": option.id, mouseenter: describe, focus: describe,
      mouseleave: forget, blur: forget, click: act, keydown: act },
      drawing("circle", { class: "halo", cx: x, cy: y, r: 14 }), whisker, shape(option, x, y));
  }
  function labels(at, options) {
    const taken = options.map(option => [at.x(option.values[state.x]), at.y(option.values[state.y]) + 4, 9, 9]);
    const parts = [];
    for (const option of options.slice(0, 40)) {
      const x = at.x(option.values[state.x]), y = at.y(option.values[state.y]), width = 7.2 * option.name.length;
      const end = x > 0.6 * WIDTH, left = end ? x + 8 - width : x - 8;
      const places = [-12, 22, -28, 38, -44, 54].map(shift => y + shift).filter(place => TOP < place && place < HEIGHT - BOTTOM);
      const isFree = place => !taken.some(([x, y, before, after]) => Math.abs(place - y) < 15 && left < x + after && x - before < left + width);
      const place = places.find(isFree);
      if (place === undefined) continue;
      taken.push([left, place, 0, width]);
      parts.push(drawing("text", { class: "label", x: end ? x + 8 : x - 8, y: place, "text-anchor": end ? "end" : "start" }, option.name));
    }
    return drawing("g", { "aria-hidden": "true" }, ...parts);
  }
  function plot(machine) {
    const options = data.options.filter(option => option.machine === machine && visible(option));
    const tip = element("p", { class: "tip", "aria-live": "polite" }, "Point at a mark for its figures; press it for its pictures.");
    const heading = element("figcaption", {}, element("h3", {}, machine));
    if (!options.length) return element("figure", { class: "chart" }, heading, element("p", {}, "No result has both figures."));
    const at = axes(options);
    const svg = drawing("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "group", "aria-label": `Results on ${machine}` },
      grid(at), ...limitLines(at), front(at, options), ...options.map(option => mark(option, at, tip)), labels(at, options));
    return element("figure", { class: "chart" }, heading, svg, tip);
  }
  function draw() {
    root.querySelector(".plots").replaceChildren(...data.machines.map(machine => plot(machine)));
  }
  function highlight(option, on) {
    for (const row of document.querySelectorAll("tr[data-option]")) {
      row.classList.toggle("lit", on && row.dataset.option === String(option.id));
    }
  }

  // Viewer
  const viewer = element("section", { id: "viewer", "aria-label": "Pictures of a result", tabindex: -1, hidden: "" });
  function view(option) {
    Object.assign(state, { chosen: option, picture: 0, pair: 0 });
    viewer.hidden = false;
    show();
    viewer.focus({ preventScroll: true });
    viewer.scrollIntoView({ block: "nearest" });
  }
  function close() {
    viewer.hidden = true;
    root.querySelector(`[data-option="${state.chosen.id}"]`)?.focus();
  }
  function show() {
    const option = state.chosen, entries = option.pictures;
    const facts = element("dl", {}, ...option.facts.flatMap(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
    const button = (text, act, attributes = {}) => element("button", { type: "button", click: act, ...attributes }, text);
    const parts = [element("header", {}, element("h3", {}, option.name), button("Close", close)), facts];
    if (!entries.length) {
      parts.push(element("p", {}, option.left_out
        ? "Its pictures are left out, so that the page stays small."
        : "No pictures were stored with this result."));
    } else {
      const entry = entries[state.picture], picture = data.pictures[entry.picture];
      const step = by => () => { state.picture = (state.picture + by + entries.length) % entries.length; state.pair = 0; show(); };
      parts.push(element("nav", { "aria-label": "Pictures" }, button("Previous", step(-1)),
        element("span", {}, `Picture ${state.picture + 1} of ${entries.length}, those that moved most first`), button("Next", step(1))));
      const pair = entry.pairs[state.pair];
      parts.push(element("div", { class: "side-by-side" },
        overlay(picture, entry.float, "float network", pair?.[0]), overlay(picture, entry.compiled, option.name, pair?.[1])));
      if (pair) parts.push(poses(picture, entry, pair, button));
    }
    viewer.replaceChildren(...parts);
  }
  function overlay(picture, people, caption, chosen) {
    const [height, width] = picture.size;
    const svg = drawing("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${people.length} people, ${caption}` },
      drawing("image", { href: "data:image/jpeg;base64," + picture.jpeg, width, height }));
    people.forEach((person, index) => {
      const bones = picture.bones.map(([a, b]) => `M${person.joints_px[a].join(" ")}L${person.joints_px[b].join(" ")}`).join("");
      svg.append(drawing("path", { class: "outline", d: bones }), drawing("path", { class: index === chosen ? "bones chosen" : "bones", d: bones }));
    });
    return element("figure", {}, svg, element("figcaption", {}, `${caption}: ${people.length} ${people.length === 1 ? "person" : "people"}`));
  }
  function poses(picture, entry, [a, b], button) {
    const float = entry.float[a].joints_mm, compiled = entry.compiled[b].joints_mm;
    const moved = float.map((joint, index) => [picture.joints[index], Math.hypot(...joint.map((value, axis) => value - compiled[index][axis]))])
      .sort((one, other) => other[1] - one[1]);
    const persons = entry.pairs.map((pair, index) => button(`person ${index + 1}`,
      () => { state.pair = index; show(); }, { "aria-pressed": String(index === state.pair) }));
    const rows = moved.slice(0, 5).map(([joint, mm]) => element("tr", {}, element("td", {}, joint), element("td", {}, mm.toFixed(0) + " mm")));
    const mean = moved.reduce((sum, [, mm]) => sum + mm, 0) / moved.length;
    return element("div", { class: "poses" },
      element("div", { class: "persons" }, ...persons),
      body(picture.bones, float, compiled, [0, 1], "from the front"), body(picture.bones, float, compiled, [2, 1], "from the side"),
      element("table", {}, element("caption", {}, `The joints that moved most; ${mean.toFixed(0)} mm on average. Gray: float network.`),
        element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "joint"), element("th", { scope: "col" }, "moved by"))),
        element("tbody", {}, ...rows)));
  }
  function body(bones, float, compiled, [across, down], caption) {
    const all = [...float, ...compiled];
    const [left, top] = [across, down].map(axis => Math.min(...all.map(joint => joint[axis])) - 60);
    const [right, bottom] = [across, down].map(axis => Math.max(...all.map(joint => joint[axis])) + 60);
    const side = Math.max(right - left, bottom - top);
    const view = [(left + right - side) / 2, (top + bottom - side) / 2, side, side].map(Math.round).join(" ");
    const path = joints => bones.map(([a, b]) => `M${joints[a][across]} ${joints[a][down]}L${joints[b][across]} ${joints[b][down]}`).join("");
    return element("figure", {}, drawing("svg", { viewBox: view, role: "img", "aria-label": `both poses ${caption}` },
      drawing("path", { class: "pose float", d: path(float) }), drawing("path", { class: "pose compiled", d: path(compiled) })),
      element("figcaption", {}, caption));
  }

  root.querySelector(".plots").before(controls());
  root.append(viewer);
  viewer.addEventListener("keydown", event => { if (event.key === "Escape") close(); });
  for (const row of document.querySelectorAll("tr[data-option]")) {
    const option = data.options[Number(row.dataset.option)], name = row.querySelector("strong");
    if (!option || !name) continue;
    name.replaceChildren(element("button", { type: "button", class: "link", click: () => view(option) }, name.textContent));
  }
  draw();
})();
