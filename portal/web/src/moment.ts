// Moments in words, on the property's wall clock: a guest abroad reads when the door opens, not when the phone says so.

/** The day where it is not today, then the time of day where it is not a day's first moment. */
export function moment(at: Date, now: Date, zone: string, locale: string): string {
  const write = (date: Date, options: Intl.DateTimeFormatOptions): string => {
    try {
      return new Intl.DateTimeFormat(locale, { ...options, timeZone: zone }).format(date);
    } catch {
      // A browser older than the zone; in most cases it is the phone's own.
      return new Intl.DateTimeFormat(locale, options).format(date);
    }
  };
  const day: Intl.DateTimeFormatOptions = { year: "numeric", month: "numeric", day: "numeric" };
  const time: Intl.DateTimeFormatOptions = { hour: "numeric", minute: "2-digit" };
  if (write(at, day) === write(now, day)) return write(at, time);
  const words: Intl.DateTimeFormatOptions = { weekday: "long", day: "numeric", month: "long" };
  const isMidnight = write(at, { hour: "numeric", minute: "numeric", hourCycle: "h23" }).replace(/\D/g, "").match(/^0+$/);
  return write(at, isMidnight ? words : { ...words, ...time });
}
