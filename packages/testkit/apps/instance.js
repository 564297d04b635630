// A service for tests of platforms. What it does wrong is chosen by BEHAVIOUR; see `behaviours` below.
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";

const { BEHAVIOUR = "serve", PORT, HOST } = process.env;
/** Tells this process from another one that was started in its place. */
const boot = randomUUID();
let healthStatus = 200;
let checks = 0;

// Whatever happens to the test that started it, it does not stay for ever.
setTimeout(() => process.exit(9), 120_000).unref();

const server = createServer((request, response) => {
  const answer = (status, body) => response.writeHead(status, { connection: "close" }).end(body);
  switch (request.url) {
    case "/health":
      checks += 1;
      return answer(healthStatus, "");
    case "/checks":
      return answer(200, String(checks));
    case "/fail":
      healthStatus = 500;
      return answer(200, "");
    case "/crash":
      return process.exit(7);
    case "/hang":
      return Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    default:
      return answer(200, JSON.stringify({ boot, pid: process.pid, cwd: process.cwd(), env: process.env }));
  }
});

const exitOnTerm = (afterMs) => process.once("SIGTERM", () => setTimeout(() => process.exit(0), afterMs));
const stayAlive = () => setInterval(() => undefined, 60_000);

const behaviours = {
  serve() {
    exitOnTerm(0);
    server.listen(PORT, HOST);
  },
  exit() {
    process.stderr.write("no database\n");
    process.exit(3);
  },
  "listen-nowhere"() {
    exitOnTerm(0);
    stayAlive();
  },
  "listen-elsewhere"() {
    exitOnTerm(0);
    server.listen(0, HOST, () => process.stdout.write(`port ${server.address().port}\n`));
  },
  "listen-ipv6"() {
    exitOnTerm(0);
    server.listen(PORT, "::1");
  },
  unhealthy() {
    exitOnTerm(0);
    healthStatus = 500;
    server.listen(PORT, HOST);
  },
  "slow-stop"() {
    exitOnTerm(300);
    server.listen(PORT, HOST);
  },
  stubborn() {
    process.on("SIGTERM", () => process.stdout.write("no\n"));
    server.listen(PORT, HOST);
  },
  // Two processes of the group stay behind it: one that would end with SIGTERM, and one that would not.
  "leave-children"() {
    const forever =
      "setInterval(() => {}, 60000); setTimeout(() => process.exit(9), 120000); console.log('child', process.pid);";
    for (const ignore of ["", "process.on('SIGTERM', () => {}); "]) {
      spawn(process.execPath, ["-e", ignore + forever], { stdio: ["ignore", "inherit", "inherit"] });
    }
    exitOnTerm(0);
    server.listen(PORT, HOST);
  },
  // The leader goes at once on SIGTERM, as a shell does; its child still has work to finish.
  "busy-child"() {
    const work = "process.on('SIGTERM', () => setTimeout(() => { console.log('work done'); process.exit(0) }, 300));";
    const child = spawn(
      process.execPath,
      ["-e", `${work} process.send("up"); process.channel.unref(); setTimeout(() => process.exit(9), 120000)`],
      {
        stdio: ["ignore", "inherit", "inherit", "ipc"],
      },
    );
    child.once("message", () => server.listen(PORT, HOST));
    exitOnTerm(0);
  },
  // Writes numbered lines until LINES are written, as fast as the file takes them.
  write() {
    exitOnTerm(0);
    server.listen(PORT, HOST, () => {
      const padding = "x".repeat(90);
      let line = 0;
      const more = () => {
        for (let burst = 0; burst < 200 && line < Number(process.env.LINES); burst += 1) {
          process.stdout.write(`line ${line++} ${padding}\n`);
        }
        if (line < Number(process.env.LINES)) setImmediate(more);
        else process.stdout.write("the end\n");
      };
      more();
    });
  },
};

behaviours[BEHAVIOUR]();
