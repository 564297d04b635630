interface SelectProps {
  readonly label: string;
  readonly value: string;
  /** Value and words of each. */
  readonly options: readonly (readonly [string, string])[];
  readonly change: (value: string) => void;
}

/** A choice among a few, small enough for a row of filters. */
export function Select({ label, value, options, change }: SelectProps) {
  return (
    <label>
      <span class="hidden">{label}</span>
      <select value={value} onChange={(event) => change(event.currentTarget.value)}>
        {options.map(([one, words]) => (
          <option key={one} value={one}>
            {words}
          </option>
        ))}
      </select>
    </label>
  );
}
