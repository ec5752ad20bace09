// Asks for one picture after the other; a slow connection gets fewer of them.
import { Space } from "./space.js";

const FIRST_PAUSE_MS = 500, LONGEST_PAUSE_MS = 8000, ANSWER_WITHIN_MS = 20000;
const STALE_MS = 6000;
const element = (id) => document.getElementById(id);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const averages = {};

class Refused extends Error {}
class Ended extends Error {}

async function ask(path) {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
  if (answer.status === 403 || answer.status === 421) throw new Refused(await answer.text());
  if (answer.status === 410) throw new Ended();
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return answer;
}

function state(name, text) {
  const shown = element("state");
  document.body.dataset.state = shown.dataset.state = name;
  if (shown.textContent !== text) shown.textContent = text;
}

async function start() {
  const about = await (await ask("about")).json();
  element("name").textContent = document.title = about.title;
  element("engine").textContent = about.engine;
  const side = (name) => (name.startsWith("left") ? "left" : name.startsWith("right") ? "right" : "middle");
  const bones = about.bones.map((joint) => [joint, about.parents[joint], side(about.names[joint])]);
  space ??= new Space(element("space"), bones, about.root);
  space.bones = bones;
  space.root = about.root;
  return bones;
}

// Splits a message into its head and a JPEG file.
function parts(message) {
  const length = new DataView(message).getUint32(0);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(message, 4, length)));
  return [head, new Blob([new Uint8Array(message, 4 + length)], { type: "image/jpeg" })];
}

async function follow(bones) {
  let latest = 0, cameAt = performance.now();
  for (;;) {
    if (document.hidden) await visible();
    const answer = await ask(`next?after=${latest}`);
    if (answer.status === 204) {
      const seconds = Math.round((performance.now() - cameAt) / 1000);
      if (performance.now() - cameAt > STALE_MS || !latest) state("waiting", `no new picture for ${seconds} s`);
      continue;
    }
    const [head, jpeg] = parts(await answer.arrayBuffer());
    [latest, cameAt] = [head.number, performance.now()];
    drawPicture(await createImageBitmap(jpeg), head.people, bones);
    space.show(head.people);
    showPeople(head.people);
    showStages(head.stages_ms);
    showFacts(head);
    state("live", "live");
  }
}

function visible() {
  return new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
}

function distance(person) {
  return `${(person.root_mm[2] / 1000).toFixed(1)} m`;
}

function drawPicture(bitmap, people, bones) {
  const canvas = element("picture"), context = canvas.getContext("2d");
  if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
    [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  }
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const unit = Math.max(1, canvas.width / 480), colours = { left: "#ff9628", right: "#32aaff", middle: "#ebebeb" };
  context.lineCap = "round";
  for (const person of [...people].sort((one, other) => other.root_mm[2] - one.root_mm[2])) {
    for (const [wide, colour] of [[4.5, () => "#191919"], [2.5, (side) => colours[side]]]) {
      for (const [joint, parent, side] of bones) {
        context.strokeStyle = colour(side);
        context.lineWidth = wide * unit;
        context.beginPath();
        context.moveTo(...person.joints_px[parent]);
        context.lineTo(...person.joints_px[joint]);
        context.stroke();
      }
    }
  }
  const taken = [];
  for (const person of [...people].sort((one, other) => one.root_mm[2] - other.root_mm[2])) {
    label(context, person, unit, taken);
  }
  canvas.setAttribute("aria-label", people.length === 1 ? "picture with 1 person" : `picture with ${people.length} people`);
}

// Writes a label above a person; one that would cover an earlier label moves below it.
function label(context, person, unit, taken) {
  const text = `${person.number === null ? "" : `${person.number}: `}${distance(person)}`;
  const xs = person.joints_px.map((point) => point[0]), ys = person.joints_px.map((point) => point[1]);
  context.font = `${12 * unit}px system-ui, sans-serif`;
  const width = context.measureText(text).width + 8 * unit, height = 17 * unit;
  const left = Math.min(Math.max(0, (Math.min(...xs) + Math.max(...xs) - width) / 2), context.canvas.width - width);
  let top = Math.max(0, Math.min(...ys) - height - 4 * unit);
  for (const [otherLeft, otherTop, otherRight] of taken.sort((one, other) => one[1] - other[1])) {
    const isApart = left >= otherRight || otherLeft >= left + width || top >= otherTop + height || otherTop >= top + height;
    if (!isApart) top = otherTop + height + 1;
  }
  taken.push([left, top, left + width]);
  context.fillStyle = "rgba(25, 25, 25, .7)";
  context.fillRect(left, top, width, height);
  context.fillStyle = "#fff";
  context.fillText(text, left + 4 * unit, top + 12.5 * unit);
}

// Sets the cells of a table's rows; text alone changes where the rows stay.
function fill(body, rows) {
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach((cells, index) => {
    const row = body.rows[index] ?? body.insertRow();
    cells.forEach((text, column) => {
      const cell = row.cells[column] ?? row.appendChild(heading(column));
      if (cell.textContent !== text) cell.textContent = text;
    });
  });
}

function heading(column) {
  const cell = document.createElement(column ? "td" : "th");
  if (!column) cell.scope = "row";
  return cell;
}

function showPeople(people) {
  element("count").textContent = String(people.length);
  const sorted = [...people].sort((one, other) => one.root_mm[2] - other.root_mm[2]);
  fill(element("people"), sorted.map((person) => [
    person.number === null ? "–" : String(person.number), distance(person), person.score.toFixed(2),
  ]));
}

function showStages(stages) {
  for (const [name, ms] of Object.entries(stages)) {
    averages[name] = averages[name] === undefined ? ms : 0.9 * averages[name] + 0.1 * ms;
  }
  const most = Math.max(...Object.values(averages), 1e-3), body = element("stages");
  fill(body, Object.entries(averages).map(([name, ms]) => [name, `${ms.toFixed(1)} ms`]));
  Object.values(averages).forEach((ms, index) => {
    const cell = body.rows[index].cells[2] ?? body.rows[index].insertCell();
    const bar = cell.firstChild ?? cell.appendChild(document.createElement("meter"));
    bar.max = most;
    bar.value = ms;
  });
}

function showFacts({ number, rate, dropped, seconds, board }) {
  const rows = [["pictures per second", rate === null ? "–" : String(rate)]];
  rows.push(["pictures", String(number)]);
  if (dropped !== null) rows.push(["dropped pictures", String(dropped)]);
  rows.push(["running for", clock(seconds)]);
  const zones = Object.entries(board.temperatures_c ?? {}).sort((one, other) => other[1] - one[1]);
  rows.push(["temperature", zones.length ? `${zones[0][1].toFixed(0)} °C (${zones[0][0]})` : "not reported"]);
  const mhz = board.frequencies_mhz ?? [];
  const [low, high] = [Math.min(...mhz), Math.max(...mhz)];
  rows.push(["clock", mhz.length ? (low === high ? `${low} MHz` : `${low} to ${high} MHz`) : "not reported"]);
  if (board.governor) rows.push(["governor", board.governor]);
  const { flags, count } = board.throttled ?? {};
  if (flags) rows.push(["throttling", flags.length ? flags.join(", ") : "none"]);
  else if (count !== undefined) rows.push(["throttling since boot", String(count)]);
  fill(element("facts"), rows);
}

function clock(seconds) {
  const whole = Math.floor(seconds), pad = (number) => String(number).padStart(2, "0");
  return `${Math.floor(whole / 3600)}:${pad(Math.floor(whole / 60) % 60)}:${pad(whole % 60)}`;
}

let space, wait = FIRST_PAUSE_MS, hasEnded = false;
element("reset").addEventListener("click", () => space?.reset());
for (;;) {
  try {
    const bones = await start();
    [wait, hasEnded] = [FIRST_PAUSE_MS, false];
    await follow(bones);
  } catch (error) {
    hasEnded ||= error instanceof Ended;
    if (error instanceof Refused) state("refused", error.message.trim());
    else if (hasEnded) state("ended", "the run has ended; waiting for the next");
    else state("lost", "connection lost; trying again");
  }
  await pause(wait);
  wait = Math.min(2 * wait, LONGEST_PAUSE_MS);
}
