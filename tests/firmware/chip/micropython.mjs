// Run a script on MicroPython (WebAssembly).
//   node micropython.mjs PACKAGE SCRIPT TARGET=FOLDER...
// PACKAGE is the folder of the npm package; each FOLDER's Python files are copied to
// TARGET in MicroPython's file system. SCRIPT is Python text; an exception exits 1.
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [pkg, script, ...mounts] = process.argv.slice(2);
const { loadMicroPython } = await import(
  pathToFileURL(path.join(pkg, "micropython.mjs")).href
);
const mp = await loadMicroPython({
  heapsize: 64 * 1024 * 1024,
  linebuffer: true,
  stdout: (line) => console.log(line),
});

function copy(folder, target) {
  mp.FS.mkdirTree(target);
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const [from, to] = [path.join(folder, entry.name), `${target}/${entry.name}`];
    if (entry.isDirectory() && !entry.name.startsWith("_")) copy(from, to);
    else if (entry.name.endsWith(".py")) mp.FS.writeFile(to, fs.readFileSync(from));
  }
}

for (const mount of mounts) copy(...mount.split("=").reverse());
try {
  mp.runPython(script);
} catch (error) {
  console.log(String(error));
  process.exit(1);
}
