/** What became of the messages and connections of a room, seen from its clients. */
export interface RoomAccount {
  /** Messages sent by all members. */
  readonly sent: number;
  /** Deliveries that were due and came, once for every member a message was due to. */
  readonly received: number;
  /** Deliveries that are due and have not come. Lost, if nothing is on its way any more. */
  readonly outstanding: number;
  /** Deliveries of a message that the member already had. */
  readonly duplicated: number;
  /** Deliveries that came after a later message of the same sender. */
  readonly misordered: number;
  /** Connections that closed without the client having asked for it. */
  readonly dropped: number;
  /** Connections that were asked for and not given; the client tried again. */
  readonly refused: number;
}

/**
 * The books of one room. A delivery is due for every message and every member who was present when it was sent, the
 * sender included. Present is who has had its welcome and has neither announced its leave nor lost its connection.
 * What is sent while a member is leaving or away is not due to it; if it comes all the same, it may come once.
 *
 * What was due when a connection dropped stays due: no later connection makes up for it.
 */
export interface RoomLedger {
  readonly room: string;
  /** Why connections dropped or were refused, in order, for the reader of a failed run. */
  readonly incidents: readonly string[];
  arrives(member: string): void;
  departs(member: string): void;
  /** MUST be called before the message goes out, in the same turn. */
  sends(sender: string): number;
  receives(member: string, sender: string, n: number): void;
  drops(member: string, why: string): void;
  refuses(member: string, why: string): void;
  /**
   * Resolves once nothing is due to the member (or, left out, to anybody), or after `withinMs`.
   * Returns how many deliveries are still due then.
   */
  settled(withinMs: number, member?: string): Promise<number>;
  account(): RoomAccount;
}

interface Member {
  present: boolean;
  sent: number;
  readonly due: Set<string>;
  readonly had: Set<string>;
  /** The highest number received, by sender. */
  readonly latest: Map<string, number>;
}

export function openLedger(room: string): RoomLedger {
  const members = new Map<string, Member>();
  const incidents: string[] = [];
  const waiting = new Set<() => void>();
  const counts = { received: 0, duplicated: 0, misordered: 0, dropped: 0, refused: 0 };

  const memberOf = (name: string): Member => {
    let member = members.get(name);
    if (!member) {
      member = { present: false, sent: 0, due: new Set(), had: new Set(), latest: new Map() };
      members.set(name, member);
    }
    return member;
  };
  const dueTo = (name?: string) => {
    if (name !== undefined) return memberOf(name).due.size;
    let due = 0;
    for (const member of members.values()) due += member.due.size;
    return due;
  };

  return {
    room,
    incidents,
    arrives(name) {
      memberOf(name).present = true;
    },
    departs(name) {
      memberOf(name).present = false;
    },
    sends(sender) {
      const n = ++memberOf(sender).sent;
      for (const member of members.values()) if (member.present) member.due.add(`${n} ${sender}`);
      return n;
    },
    receives(name, sender, n) {
      const member = memberOf(name);
      const message = `${n} ${sender}`;
      if (member.had.has(message)) {
        counts.duplicated++;
        return;
      }
      member.had.add(message);
      const latest = member.latest.get(sender) ?? 0;
      if (n < latest) counts.misordered++;
      else member.latest.set(sender, n);
      if (!member.due.delete(message)) return;
      counts.received++;
      if (member.due.size === 0) for (const check of waiting) check();
    },
    drops(name, why) {
      memberOf(name).present = false;
      counts.dropped++;
      incidents.push(`${room}: ${name} was dropped: ${why}`);
    },
    refuses(name, why) {
      counts.refused++;
      incidents.push(`${room}: ${name} was refused: ${why}`);
    },
    settled(withinMs, name) {
      if (dueTo(name) === 0) return Promise.resolve(0);
      return new Promise((resolve) => {
        const end = () => {
          clearTimeout(deadline);
          waiting.delete(check);
          resolve(dueTo(name));
        };
        const check = () => {
          if (dueTo(name) === 0) end();
        };
        const deadline = setTimeout(end, withinMs);
        waiting.add(check);
      });
    },
    account() {
      let sent = 0;
      for (const member of members.values()) sent += member.sent;
      return { sent, outstanding: dueTo(), ...counts };
    },
  };
}
