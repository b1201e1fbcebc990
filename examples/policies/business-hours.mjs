/**
 * A policy of one's own that acts by the clock: lets clients in within business hours, and ends their sessions at closing time. Use
 * it in the configuration with
 *
 *     policies:
 *       - { use: ./policies/business-hours.mjs, timeZone: Europe/Berlin, from: "09:00", to: "17:30" }
 */
import { definePolicy, deny, ForegateError } from 'foregate/policy';

const dayMs = 86_400_000;
const weekdays = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const timeOfDay = (usual, description) => ({
  type: 'string',
  pattern: '^([01][0-9]|2[0-3]):[0-5][0-9]$',
  default: usual,
  description,
});

export default definePolicy({
  name: 'business-hours',
  summary: 'Lets clients in within business hours and ends their sessions at closing time.',
  options: {
    type: 'object',
    properties: {
      timeZone: { type: 'string', minLength: 1, description: 'Where the business is, such as `Europe/Berlin`.' },
      days: {
        type: 'array',
        items: { enum: weekdays },
        minItems: 1,
        uniqueItems: true,
        default: ['mon', 'tue', 'wed', 'thu', 'fri'],
        description: 'Days on which the doors are opened.',
      },
      from: timeOfDay('09:00', 'When the doors are opened.'),
      to: timeOfDay('17:00', 'When they are closed: on the next day, if it is not later than `from`.'),
      closeCode: {
        type: 'integer',
        minimum: 4000,
        maximum: 4999,
        default: 4800,
        description: 'Close code of WebSockets at closing time.',
      },
      text: { type: 'string', minLength: 1, maxLength: 120, default: 'We are closed.', description: 'What clients are told.' },
    },
    required: ['timeZone'],
    additionalProperties: false,
  },

  create({ timeZone, days, from, to, closeCode, text }, { clock }) {
    const openingAt = timetable(zoneOf(timeZone), { days, fromMs: timeMs(from), toMs: timeMs(to) });
    const closed = deny('forbidden', text, { closeCode });
    /** Sessions to end at closing time; one timer for all of them. */
    const guests = new Set();
    let opening;
    let timer;

    const isOpen = () => {
      const now = clock.now();
      // The table is looked at only when the opening that was found last is over.
      if (opening === undefined || now >= opening.closesAt) opening = openingAt(now);
      return opening !== undefined && now >= opening.opensAt;
    };
    const watch = (session) => {
      guests.add(session);
      timer ??= clock.after(opening.closesAt - clock.now(), close);
    };
    const close = () => {
      timer = undefined;
      if (isOpen()) {
        // Another opening has followed without a pause.
        timer = clock.after(opening.closesAt - clock.now(), close);
        return;
      }
      const leaving = [...guests];
      guests.clear();
      for (const session of leaving) session.end(closed);
    };
    const stop = () => {
      timer?.cancel();
      timer = undefined;
    };

    return {
      connect(session) {
        if (!isOpen()) return closed;
        if (session.transport === 'websocket') watch(session);
        return undefined;
      },
      // A plain request is over soon, unless it is held: then it joins a channel.
      subscribe(session) {
        if (!isOpen()) return closed;
        watch(session);
        return undefined;
      },
      disconnect(session) {
        guests.delete(session);
        if (guests.size === 0) stop();
      },
      dispose: stop,
    };
  },
});

/** Gives the opening that holds a moment, if there is one. It begins today or has begun yesterday, by the clocks of the zone. */
function timetable(zone, { days, fromMs, toMs }) {
  const openDays = new Set(days.map((day) => weekdays.indexOf(day)));
  const overnightMs = toMs <= fromMs ? dayMs : 0;
  return (now) => {
    const today = Math.floor(zone.shown(now) / dayMs) * dayMs;
    for (const day of [today - dayMs, today]) {
      if (!openDays.has(new Date(day).getUTCDay())) continue;
      const opensAt = zone.momentOf(day + fromMs);
      const closesAt = zone.momentOf(day + overnightMs + toMs);
      if (opensAt <= now && now < closesAt) return { opensAt, closesAt };
    }
    return undefined;
  };
}

/** What clocks show and when they show it. Times on a clock are numbers like those of UTC: 09:00 is nine hours after midnight. */
function zoneOf(timeZone) {
  const format = formatOf(timeZone);
  const shown = (moment) => {
    const parts = Object.fromEntries(format.formatToParts(moment).map(({ type, value }) => [type, Number(value)]));
    return Date.UTC(parts.year, parts.month - 1, parts.day, parts.hour, parts.minute, parts.second);
  };
  const ahead = (moment) => shown(moment) - Math.floor(moment / 1000) * 1000;
  return {
    shown,
    /**
     * Twice a year the clocks are changed. Of a time that comes twice the first is meant; one that is left out is shown by clocks
     * that nobody has changed, so 02:30 is 03:30.
     */
    momentOf(time) {
      const before = time - ahead(time - dayMs);
      const after = time - ahead(time + dayMs);
      return shown(before) !== time && shown(after) === time ? after : before;
    },
  };
}

function formatOf(timeZone) {
  const number = 'numeric';
  const parts = { year: number, month: number, day: number, hour: number, minute: number, second: number };
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone, hourCycle: 'h23', ...parts });
  } catch (cause) {
    // With this kind of error the place in the configuration is told, too.
    throw new ForegateError('bad-request', `There is no time zone ${timeZone}.`, { cause });
  }
}

function timeMs(text) {
  const [hours, minutes] = text.split(':').map(Number);
  return (hours * 60 + minutes) * 60_000;
}
