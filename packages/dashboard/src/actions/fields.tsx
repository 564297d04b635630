import type { ServiceView } from "@holdover/control/api";
import type { ComponentChildren } from "preact";
import { number } from "../words/figures.ts";
import type { Asked } from "./asked.ts";
import type { Draft } from "./draft.ts";

interface FieldsProps {
  readonly asked: Asked;
  readonly service: ServiceView | undefined;
  readonly draft: Draft;
  readonly change: (part: Partial<Draft>) => void;
}

/** What has to be settled before an action can be taken; nothing where there is nothing. */
export function Fields({ asked, service, draft, change }: FieldsProps) {
  switch (asked.action) {
    case "deploy":
      return (
        <>
          <Text label="Release" value={draft.release} change={(release) => change({ release })} most={200}>
            An id of its own: a version or a git SHA.
          </Text>
          <Text label="Directory" value={draft.dir} change={(dir) => change({ dir })} most={4096}>
            Where the build is on the server, as an absolute path. A frozen copy of it is what runs.
          </Text>
          <Choice
            label="Once it is ready"
            name="then"
            value={draft.then}
            change={(then) => change({ then })}
            options={[
              { value: "promote", words: "new sessions start on it" },
              { value: "ramp", words: "it takes a share of the new sessions" },
              { value: "wait", words: "it waits for your word" },
            ]}
          />
          {draft.then === "ramp" && <Percent draft={draft} change={change} />}
        </>
      );
    case "ramp":
      return <Percent draft={draft} change={change} />;
    case "rollback":
      return (
        <>
          <Target service={service} draft={draft} change={change} />
          <Choice
            label="The sessions on the release that is left"
            name="sessions"
            value={draft.sessions}
            change={(sessions) => change({ sessions })}
            options={[
              { value: "finish", words: "finish where they are" },
              { value: "cut", words: "are cut now, paced" },
            ]}
          />
        </>
      );
    case "retire":
      return (
        <Choice
          label="Its sessions"
          name="now"
          value={draft.now ? "now" : "grace"}
          change={(value) => change({ now: value === "now" })}
          options={[
            { value: "grace", words: "are asked to move, and cut at the end of the grace" },
            { value: "now", words: "are cut now, paced" },
          ]}
        />
      );
    case "restart":
      return (
        <div class="fields-row">
          <Field label="Batch" id="batch" hint="Instances at once.">
            <input
              id="batch"
              type="number"
              min={1}
              max={256}
              required
              value={draft.batch}
              onInput={(event) => change({ batch: event.currentTarget.valueAsNumber })}
            />
          </Field>
          <Text label="Wait" value={draft.wait} change={(wait) => change({ wait })} most={20}>
            How long sessions may end by themselves: 10m.
          </Text>
          <Text label="Grace" value={draft.grace} change={(grace) => change({ grace })} most={20} optional>
            Then they are asked to move, for so long; empty: as retention says.
          </Text>
        </div>
      );
    case "promote":
    case "move":
      return null;
  }
}

function Target({ service, draft, change }: Omit<FieldsProps, "asked">) {
  const retained = (service?.releases ?? []).filter(({ state }) => state === "retained").toReversed();
  return (
    <Field label="Go back to" id="to">
      <select id="to" value={draft.release} onChange={(event) => change({ release: event.currentTarget.value })}>
        {retained.length === 0 && <option value="">no release is retained</option>}
        {retained.map(({ id }) => (
          <option key={id} value={id}>
            {id}
          </option>
        ))}
      </select>
    </Field>
  );
}

function Percent({ draft, change }: Pick<FieldsProps, "draft" | "change">) {
  const set = (event: { currentTarget: HTMLInputElement }): void =>
    change({ percent: event.currentTarget.valueAsNumber });
  return (
    <Field
      label="Share of the new sessions"
      id="percent"
      hint={`${number(draft.percent || 0)}% of them, always the same sessions for the same share.`}
    >
      <div class="slider">
        <input
          type="range"
          min={1}
          max={100}
          step={1}
          value={draft.percent}
          onInput={set}
          aria-label="Share, as a slider"
        />
        <input id="percent" type="number" min={0.1} max={100} step="any" required value={draft.percent} onInput={set} />
        <span>%</span>
      </div>
    </Field>
  );
}

interface ChoiceProps<Value extends string> {
  readonly label: string;
  readonly name: string;
  readonly value: Value;
  readonly change: (value: Value) => void;
  readonly options: readonly { readonly value: Value; readonly words: string }[];
}

function Choice<Value extends string>({ label, name, value, change, options }: ChoiceProps<Value>) {
  return (
    <fieldset>
      <legend>{label}</legend>
      {options.map((option) => (
        <label key={option.value} class="choice">
          <input type="radio" name={name} checked={value === option.value} onChange={() => change(option.value)} />
          {option.words}
        </label>
      ))}
    </fieldset>
  );
}

interface TextProps {
  readonly label: string;
  readonly value: string;
  readonly change: (value: string) => void;
  /** Characters at the most. */
  readonly most: number;
  readonly optional?: boolean;
  readonly children: string;
}

function Text({ label, value, change, most, optional = false, children }: TextProps) {
  const id = `field-${label.toLowerCase()}`;
  return (
    <Field label={label} id={id} hint={children}>
      <input
        id={id}
        type="text"
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        maxLength={most}
        required={!optional}
        value={value}
        onInput={(event) => change(event.currentTarget.value)}
        aria-describedby={`${id}-hint`}
      />
    </Field>
  );
}

interface FieldProps {
  readonly label: string;
  readonly id: string;
  readonly hint?: string;
  readonly children: ComponentChildren;
}

function Field({ label, id, hint, children }: FieldProps) {
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children}
      {hint !== undefined && (
        <p id={`${id}-hint`} class="quiet">
          {hint}
        </p>
      )}
    </div>
  );
}
