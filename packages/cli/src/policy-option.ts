import {
  checkWindowPolicy,
  DEFAULT_CEILING_MS,
  DEFAULT_WINDOW,
  HoldoverError,
  parseDuration,
  type WindowPolicy,
} from "@holdover/core";
import { InvalidArgumentError } from "commander";

/**
 * A window policy as it is written after --policy: its name, after a colon what it is set to, after commas its settings.
 * `budget:5%,ceiling=8h`, `quantile:P95,factor=1.5`, `fixed:1h`, `until-empty`.
 */

type Name = WindowPolicy["policy"];

/** The settings of each policy; the first needs no name. */
const SETTINGS: Readonly<Record<Name, readonly string[]>> = {
  budget: ["budget", "floor", "ceiling"],
  quantile: ["quantile", "factor", "floor", "ceiling"],
  fixed: ["window", "floor"],
  "until-empty": ["floor"],
};
const EXAMPLES = "budget, budget:5%,ceiling=8h, quantile:P95,factor=1.5, fixed:1h, until-empty";

/** Reads one policy, for commander: throws its InvalidArgumentError with what would be right. */
export function readPolicy(text: string): WindowPolicy {
  const colon = text.indexOf(":");
  const name = (colon < 0 ? text : text.slice(0, colon)).trim();
  if (!isName(name))
    throw new InvalidArgumentError(`There is no policy "${shown(name)}". Write for example ${EXAMPLES}.`);
  const policy = policyOf(name, settingsOf(name, colon < 0 ? "" : text.slice(colon + 1)));
  try {
    checkWindowPolicy(policy);
  } catch (error) {
    if (!(error instanceof HoldoverError)) throw error;
    throw new InvalidArgumentError(`${sentence(String(error.details["problem"]))} ${String(error.details["remedy"])}`);
  }
  return policy;
}

function policyOf(name: Name, settings: ReadonlyMap<string, string>): WindowPolicy {
  const floor = duration(settings, "floor") ?? 0;
  const ceiling = () => duration(settings, "ceiling") ?? DEFAULT_CEILING_MS;
  switch (name) {
    case "budget":
      return { ...DEFAULT_WINDOW, policy: name, disruptionBudget: budget(settings), floor, ceiling: ceiling() };
    case "quantile":
      return { policy: name, quantile: quantile(settings), factor: factor(settings), floor, ceiling: ceiling() };
    case "fixed": {
      const window = duration(settings, "window");
      if (window === undefined) throw new InvalidArgumentError("Write how long, for example fixed:1h.");
      return { policy: name, window, floor };
    }
    case "until-empty":
      return { policy: name, floor };
  }
}

/** The same policy as short as it can be written; what is not set is not named. */
export function policyText(policy: WindowPolicy): string {
  const main = mainOf(policy);
  const ceiling = "ceiling" in policy && policy.ceiling !== DEFAULT_CEILING_MS ? `ceiling=${span(policy.ceiling)}` : "";
  const floor = policy.floor > 0 ? `floor=${span(policy.floor)}` : "";
  const factor = policy.policy === "quantile" && policy.factor !== 1 ? `factor=${policy.factor}` : "";
  const settings = [main, factor, floor, ceiling].filter((setting) => setting !== "");
  return settings.length === 0 ? policy.policy : `${policy.policy}:${settings.join(",")}`;
}

function mainOf(policy: WindowPolicy): string {
  switch (policy.policy) {
    case "budget":
      return policy.disruptionBudget === 0 ? "" : `${hundredfold(policy.disruptionBudget)}%`;
    case "quantile":
      return `P${hundredfold(policy.quantile)}`;
    case "fixed":
      return span(policy.window);
    case "until-empty":
      return "";
  }
}

function hundredfold(share: number): number {
  return Number((share * 100).toPrecision(12));
}

const UNITS = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "m"],
  [1000, "s"],
] as const;

/** A duration as one number and one unit, so that it can be read back. */
function span(ms: number): string {
  const [unitMs, unit] = UNITS.find(([size]) => ms > 0 && ms % size === 0) ?? [1, "ms"];
  return `${ms / unitMs}${unit}`;
}

function settingsOf(name: Name, text: string): Map<string, string> {
  const settings = new Map<string, string>();
  if (text.trim() === "") return settings;
  const known = SETTINGS[name];
  for (const [index, part] of text.split(",").entries()) {
    const equals = part.indexOf("=");
    const named = equals >= 0 || index > 0 || known[0] === "floor";
    const key = named ? part.slice(0, Math.max(0, equals)).trim() : (known[0] ?? "");
    if (!known.includes(key)) {
      throw new InvalidArgumentError(
        `"${shown(part)}" is no setting of ${name}. It has ${known.map((one) => `${one}=…`).join(", ")}.`,
      );
    }
    if (settings.has(key)) throw new InvalidArgumentError(`${key} is set twice.`);
    settings.set(key, part.slice(equals + 1).trim());
  }
  return settings;
}

function duration(settings: ReadonlyMap<string, string>, key: string): number | undefined {
  const text = settings.get(key);
  if (text === undefined) return undefined;
  const ms = text === "0" ? 0 : parseDuration(text);
  if (ms === undefined) {
    throw new InvalidArgumentError(
      `The ${key} "${shown(text)}" is no duration. Write for example ${key}=30m or ${key}=8h.`,
    );
  }
  return ms;
}

function budget(settings: ReadonlyMap<string, string>): number {
  const text = settings.get("budget") ?? "0";
  const share = shareOf(text);
  if (share >= 0 && share <= 1) return share;
  throw new InvalidArgumentError(`The budget "${shown(text)}" is no share. Write 0% to 100%, for example budget:5%.`);
}

function quantile(settings: ReadonlyMap<string, string>): number {
  const text = settings.get("quantile") ?? "P95";
  const share = shareOf(/^p\d/i.test(text) ? `${text.slice(1)}%` : text);
  if (share > 0 && share < 1) return share;
  throw new InvalidArgumentError(
    `"${shown(text)}" is no quantile. Write one between 0 and 1, for example quantile:P95 or quantile:0.95.`,
  );
}

function factor(settings: ReadonlyMap<string, string>): number {
  const text = settings.get("factor") ?? "1";
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : 0;
  if (value > 0 && value <= 1000) return value;
  throw new InvalidArgumentError(
    `The factor "${shown(text)}" is none. Write a number above 0, for example factor=1.5.`,
  );
}

/** "5%" or "0.05"; NaN where it is neither. */
function shareOf(text: string): number {
  if (/^\d+(\.\d+)?%$/.test(text)) return Number((Number.parseFloat(text) / 100).toPrecision(12));
  return /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
}

function isName(name: string): name is Name {
  return Object.hasOwn(SETTINGS, name);
}

function shown(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
