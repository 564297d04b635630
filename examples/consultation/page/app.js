import { openCall, openDevices } from "./call.js";
import { openLine } from "./line.js";
import { additions } from "./release.js";

const $ = (id) => document.getElementById(id);
const room = decodeURIComponent($("app").dataset.room);
const release = additions();

let line;
let call;
let devices;
let me;
let token = null;
let terms;
let consent = null;
/** What was written here and is not kept yet: it is written again on the next line, under the same id. */
const unkept = new Map();
let written = 0;
/** Ids of this page, also where `crypto.randomUUID` is not to be had. */
const page = Math.random().toString(36).slice(2);

$("lobby").elements.name.value = sessionStorage.getItem("name") ?? "";

$("lobby").addEventListener("submit", (event) => {
  event.preventDefault();
  const { name, role } = event.target.elements;
  me = { name: name.value.trim(), role: role.value };
  if (me.name !== "") void join();
});

async function join() {
  sessionStorage.setItem("name", me.name);
  enterPhase("call");
  state("Asking for camera and microphone …");
  devices = await openDevices();
  $("self").querySelector("video").srcObject = devices;
  state("Connecting …");
  line = openLine(room, { opened, message, broken: () => state("The line broke, trying again …"), over: leave });
}

function opened() {
  line.send({ type: "enter", ...me, token });
}

function message(told) {
  if (told.type === "welcome") welcome(told);
  if (told.type === "answer" && told.call === call?.id) void call.answered(told.sdp);
  if (told.type === "media-lost") void connect();
  if (told.type === "people") people(told);
  if (told.type === "line") show(told.line);
  if (told.type === "kept") kept(told.id);
  if (told.type === "consent") agreed(told.consent);
  if (told.type === "refused") state(`Not done: ${told.problem}`);
}

function welcome(told) {
  token = told.token;
  terms = told.terms;
  $("release").textContent = `release ${told.release}`;
  $("release").title = told.instance;
  $("release").hidden = false;
  $("terms").textContent = terms.text;
  $("lines").replaceChildren();
  for (const old of told.lines) show(old);
  for (const [id, text] of unkept) {
    showPending(id, text);
    line.send({ type: "write", id, text });
  }
  agreed(told.consent);
  state("In the call");
  // The line broke and the call did not: it goes on as it was.
  if (!told.resumed || !call) void connect();
}

/** A new connection for camera and microphone, in the place of the one before. */
async function connect() {
  call?.close();
  const opened = openCall(devices, { failed: () => void connect() });
  call = opened;
  for (const [slot, stream] of opened.streams.entries()) $(`slot-${slot}`).querySelector("video").srcObject = stream;
  const sdp = await opened.offer();
  // Hung up meanwhile, or there is a newer one.
  if (call === opened) line.send({ type: "offer", call: opened.id, sdp });
}

function people({ others, forMs }) {
  for (const slot of [0, 1]) {
    const other = others.find((one) => one.slot === slot);
    $(`slot-${slot}`).hidden = !other;
    $(`slot-${slot}`).querySelector("figcaption").textContent = other ? `${other.name} · ${other.role}` : "";
  }
  $("tiles").dataset.others = others.length;
  $("waiting").hidden = others.length > 0;
  release.people(forMs);
}

function agreed(given) {
  consent = given;
  const when = consent && new Date(consent.atMs).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  $("agreed").textContent = consent
    ? `${consent.by} agreed to version ${consent.terms} at ${when}`
    : "The customer has not agreed yet.";
  $("agreed").classList.toggle("done", consent !== null);
  $("agree").hidden = consent !== null || me.role !== "customer";
}

function show({ id, from, text, atMs }) {
  kept(id);
  const item = append(from, text);
  release.line(item, { atMs });
}

function showPending(id, text) {
  const item = append(me.name, text);
  item.className = "pending";
  item.dataset.id = id;
}

function kept(id) {
  unkept.delete(id);
  $("lines")
    .querySelector(`[data-id="${CSS.escape(id)}"]`)
    ?.remove();
}

function append(from, text) {
  const item = document.createElement("li");
  const who = document.createElement("b");
  who.textContent = from;
  item.append(who, text);
  $("lines").append(item);
  $("lines").scrollTop = $("lines").scrollHeight;
  return item;
}

function leave(reason) {
  line?.close();
  call?.close();
  for (const track of devices?.getTracks() ?? []) track.stop();
  call = undefined;
  token = null;
  people({ others: [], forMs: null });
  enterPhase("lobby");
  state(reason);
}

function enterPhase(phase) {
  $("app").dataset.phase = phase;
}

function state(text) {
  $("state").textContent = text;
}

$("write").addEventListener("submit", (event) => {
  event.preventDefault();
  const { text } = event.target.elements;
  if (!me || text.value.trim() === "") return;
  written += 1;
  const id = `${page}-${written}`;
  unkept.set(id, text.value);
  showPending(id, text.value);
  line.send({ type: "write", id, text: text.value });
  text.value = "";
});

pressed("agree", () => line.send({ type: "agree" }));
pressed("hang-up", () => leave("You have hung up"));
pressed("copy", () => void copyAddress());
pressed("mute", () => toggle("mute", "audio"));
pressed("hide", () => toggle("hide", "video"));

async function copyAddress() {
  await navigator.clipboard.writeText(new URL(`/?${new URLSearchParams({ room })}`, location.href).href);
  $("copy").textContent = "Copied";
}

function toggle(id, kind) {
  const off = $(id).getAttribute("aria-pressed") !== "true";
  $(id).setAttribute("aria-pressed", String(off));
  for (const track of devices.getTracks()) if (track.kind === kind) track.enabled = !off;
}

function pressed(id, what) {
  $(id).addEventListener("click", what);
}
