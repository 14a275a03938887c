#!/usr/bin/env node
// Starts the program that the package for this system holds. Nothing is downloaded.
"use strict";

const { spawnSync } = require("node:child_process");
const { constants } = require("node:os");

const name = `blastwave-${process.platform}-${process.arch}`;
const file = process.platform === "win32" ? "blastwave.exe" : "blastwave";
let program;
try {
  program = require.resolve(`${name}/bin/${file}`);
} catch {
  console.error(`error: no blastwave for ${process.platform} on ${process.arch}: the package ${name} is not installed`);
  process.exit(2);
}
const ended = spawnSync(program, process.argv.slice(2), { stdio: "inherit" });
if (ended.error) {
  console.error(`error: ${program} cannot be started: ${ended.error.message}`);
  process.exit(2);
}
// Ended by a signal, it ends as a shell would say it.
process.exit(ended.status ?? 128 + (constants.signals[ended.signal] ?? 0));
