// What people and machines download: compiled, described, stored in R2.
//
// A release is a folder, one folder in it for each platform. Its documents name
// each file with its SHA-256, and files are stored under that: files first,
// documents last, so that a reader of a document finds all that it names, and
// an upload that breaks off has released nothing.

import { execFile, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";

import { R2 } from "./server/bindings.mjs";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");

const USAGE = `\
scripts/release build [--target TRIPLE]… [--out DIR]
scripts/release index [--version VERSION] [--out DIR]
scripts/release upload (--remote | --state-dir DIR) [--bucket NAME] [--out DIR]

  --out DIR          the release (default dist/release)
  --target TRIPLE    what to build for; may be repeated (default: this machine)
  --version VERSION  the release's version (default: the repository's)
  --remote           the account that wrangler is signed in to, or CLOUDFLARE_API_TOKEN's
  --state-dir DIR    the state of a local server, which may be running
  --bucket NAME      the R2 bucket (default ${R2.name})

Exit codes: 0 done, 1 failed, 2 usage.
`;

/** Programs by the name under which they are handed out. */
const PROGRAMS = { cli: "sam", agent: "sam-vm-agent", harness: "sam-harness" };

/** What is built for, where it runs, and what is built of it. */
export const TARGETS = {
  "x86_64-unknown-linux-musl": { os: "linux", arch: "amd64", programs: ["cli", "agent", "harness"] },
  "aarch64-unknown-linux-musl": { os: "linux", arch: "arm64", programs: ["cli", "agent", "harness"] },
  "x86_64-apple-darwin": { os: "darwin", arch: "amd64", programs: ["cli"] },
  "aarch64-apple-darwin": { os: "darwin", arch: "arm64", programs: ["cli"] },
};

/** A mistake of the caller. */
class UsageError extends Error {}

const say = (line) => process.stderr.write(`${line}\n`);

/** The version of the repository's programs. */
function ownVersion() {
  return /^version = "([^"]+)"$/m.exec(readFileSync(path.join(ROOT, "Cargo.toml"), "utf8"))[1];
}

function thisMachine() {
  const arch = process.arch === "arm64" ? "aarch64" : "x86_64";
  return process.platform === "darwin" ? `${arch}-apple-darwin` : `${arch}-unknown-linux-musl`;
}

/** Compiles for each target and gathers what was built. */
function build({ targets, out }) {
  for (const target of targets) {
    const known = TARGETS[target];
    if (!known) throw new UsageError(`${target} is none of ${Object.keys(TARGETS).join(", ")}`);
    const built = spawnSync("cargo", ["xtask", "build", "release", target, ...known.programs.map((name) => PROGRAMS[name])], {
      cwd: ROOT,
      stdio: ["ignore", "inherit", "inherit"],
    });
    if (built.status !== 0) throw new Error(`${target} could not be built`);
    const folder = path.join(out, `${known.os}-${known.arch}`);
    mkdirSync(folder, { recursive: true });
    const from = path.join(process.env.CARGO_TARGET_DIR ?? path.join(ROOT, "target"), target, "release");
    for (const name of known.programs) copyFileSync(path.join(from, PROGRAMS[name]), path.join(folder, PROGRAMS[name]));
    say(`${target}: ${folder}`);
  }
}

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

/** Describes what lies in a release: one document for each program, and one file for `sha256sum -c`. */
export function index({ out, version = ownVersion() }) {
  const sums = [];
  const documents = {};
  for (const [program, file] of Object.entries(PROGRAMS)) {
    const downloads = [];
    for (const { os, arch } of Object.values(TARGETS)) {
      const where = path.join(`${os}-${arch}`, file);
      if (!existsSync(path.join(out, where))) continue;
      const bytes = readFileSync(path.join(out, where));
      downloads.push({ os, arch, sha256: sha256(bytes), bytes: bytes.length });
      sums.push(`${sha256(bytes)}  ${where}\n`);
    }
    const name = path.join(out, `${program}.json`);
    rmSync(name, { force: true });
    if (downloads.length === 0) continue;
    documents[program] = { version, downloads };
    writeFileSync(name, JSON.stringify(documents[program]));
  }
  if (sums.length === 0) throw new Error(`there is no program in ${out}; build some with \`scripts/release build\``);
  writeFileSync(path.join(out, "SHA256SUMS"), sums.join(""));
  return documents;
}

/** What an upload stores, in the order in which it has to: `{key, file}`. */
export function objects(out) {
  const files = [];
  const documents = [];
  for (const [program, file] of Object.entries(PROGRAMS)) {
    const document = path.join(out, `${program}.json`);
    if (!existsSync(document)) continue;
    documents.push({ key: `release/${program}.json`, file: document });
    for (const { os, arch, sha256: sum, bytes } of JSON.parse(readFileSync(document, "utf8")).downloads) {
      const where = path.join(out, `${os}-${arch}`, file);
      const read = readFileSync(where);
      if (read.length !== bytes || sha256(read) !== sum) {
        throw new Error(`${where} is not what ${document} says; run \`scripts/release index\``);
      }
      files.push({ key: `release/${sum}`, file: where });
    }
  }
  if (documents.length === 0) throw new Error(`nothing in ${out} is released; run \`scripts/release index\``);
  return [...files, ...documents];
}

/** Stores a release; answers the keys. */
export async function upload({ out, remote, stateDir, bucket = R2.name }) {
  const store = remote ? new Account(bucket) : new LocalServer(stateDir, bucket);
  const keys = [];
  try {
    for (const { key, file } of objects(out)) {
      await store.put(key, file);
      keys.push(key);
      say(`${key}: ${statSync(file).size} bytes`);
    }
  } finally {
    await store.close();
  }
  return keys;
}

/** The R2 of the account that wrangler knows. */
class Account {
  constructor(bucket) {
    this.bucket = bucket;
  }

  async put(key, file) {
    const words = ["r2", "object", "put", `${this.bucket}/${key}`, "--remote", "--file", path.resolve(file)];
    try {
      await promisify(execFile)("wrangler", words, { cwd: ROOT, env: { ...process.env, CI: "1" } });
    } catch (error) {
      throw new Error(`${key} could not be stored:\n${error.stdout ?? ""}${error.stderr ?? error.message}`);
    }
  }

  async close() {}
}

/** The R2 of a local server, by the runtime that the server has, on the same files. */
class LocalServer {
  constructor(stateDir, bucket) {
    this.started = import("miniflare").then(
      ({ Miniflare }) =>
        new Miniflare({
          modules: true,
          script: "export default { fetch() { return new Response(null, { status: 404 }); } };",
          host: "127.0.0.1",
          cf: false,
          telemetry: { enabled: false },
          r2Buckets: { FILES: bucket },
          r2Persist: path.join(path.resolve(stateDir), "v3", "r2"),
        }),
    );
  }

  async put(key, file) {
    const runtime = await this.started;
    const files = await runtime.getR2Bucket("FILES");
    await files.put(key, readFileSync(file));
  }

  async close() {
    await (await this.started).dispose();
  }
}

/** Arguments as options. */
export function parse(words) {
  const options = { targets: [], out: path.join(ROOT, "dist/release"), bucket: R2.name };
  const names = { "--target": "target", "--out": "out", "--version": "version", "--state-dir": "stateDir", "--bucket": "bucket" };
  const [what, ...rest] = words;
  while (rest.length > 0) {
    const flag = rest.shift();
    if (flag === "--remote") {
      options.remote = true;
      continue;
    }
    const name = names[flag];
    if (!name) throw new UsageError(`unknown option: ${flag}`);
    const value = rest.shift();
    if (value === undefined) throw new UsageError(`${flag} needs a value`);
    if (name === "target") options.targets.push(value);
    else options[name] = name === "out" ? path.resolve(value) : value;
  }
  if (options.targets.length === 0) options.targets.push(thisMachine());
  if (what === "upload" && Boolean(options.remote) === Boolean(options.stateDir)) {
    throw new UsageError("say where to: --remote or --state-dir DIR");
  }
  return { what, options };
}

async function main(words) {
  if (words.includes("--help") || words.includes("-h")) {
    process.stdout.write(USAGE);
    return;
  }
  const { what, options } = parse(words);
  const step = { build, index, upload }[what];
  if (!step) throw new UsageError(what ? `unknown command: ${what}` : "a command is missing");
  await step(options);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  try {
    await main(process.argv.slice(2));
  } catch (error) {
    say(`release: ${error.message}`);
    if (error instanceof UsageError) say(`\n${USAGE}`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}
