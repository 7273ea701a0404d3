/**
 * Due dates in the person's own time zone and language.
 *
 * A task that is due on a day, without a time, is stored as due by the end of that day.
 *
 * @import { Task } from "../api/types.js"
 */

import { locale, t } from "./index.js";

const DAY_MS = 86_400_000;
const DAYS_OF_A_WEEK = 7;
/** Minutes of a day from which a time means "by the end of this day". */
const END_OF_DAY_MINUTES = 23 * 60 + 59;

/** @typedef {"overdue" | "today" | "week" | "later" | "none" | "done"} Group */

/**
 * Return the group of a task in the list. The week ends on Sunday.
 *
 * @param {Task} task
 * @param {Date} now
 * @returns {Group}
 */
export function groupOf(task, now) {
  if (task.completed) return "done";
  if (!task.due_at) return "none";
  const due = new Date(task.due_at);
  if (due < now) return "overdue";
  const days = daysBetween(now, due);
  if (days === 0) return "today";
  const daysToSunday = (DAYS_OF_A_WEEK - now.getDay()) % DAYS_OF_A_WEEK;
  return days <= daysToSunday ? "week" : "later";
}

/**
 * Return a due date in words: "Tomorrow, 17:00", "Friday", "3 Dec".
 *
 * @param {string} dueAt
 * @param {Date} [now]
 */
export function dueText(dueAt, now = new Date()) {
  const due = new Date(dueAt);
  const day = dayText(due, now);
  return hasTime(due) ? `${day}, ${format(due, { timeStyle: "short" })}` : day;
}

/**
 * @param {Date} due
 * @param {Date} now
 */
function dayText(due, now) {
  const days = daysBetween(now, due);
  if (days === 0) return t.today;
  if (days === 1) return t.tomorrow;
  if (days === -1) return t.yesterday;
  if (days > 1 && days < DAYS_OF_A_WEEK) return format(due, { weekday: "long" });
  const isThisYear = due.getFullYear() === now.getFullYear();
  return format(due, { day: "numeric", month: "short", ...(isThisYear ? {} : { year: "numeric" }) });
}

/**
 * Return a moment in words: a time today, else a date.
 *
 * @param {string} moment
 */
export function momentText(moment) {
  const date = new Date(moment);
  const isToday = daysBetween(new Date(), date) === 0;
  return isToday ? format(date, { timeStyle: "short" }) : dayText(date, new Date());
}

/**
 * Return a moment with day and time.
 *
 * @param {string} moment
 */
export function fullText(moment) {
  return format(new Date(moment), { dateStyle: "medium", timeStyle: "short" });
}

/**
 * Return the values of a date and a time input for a due date; the time is empty for "by the end of the day".
 *
 * @param {string | null} dueAt
 */
export function inputsOf(dueAt) {
  if (!dueAt) return { date: "", time: "" };
  const due = new Date(dueAt);
  const date = [due.getFullYear(), two(due.getMonth() + 1), two(due.getDate())].join("-");
  return { date, time: hasTime(due) ? `${two(due.getHours())}:${two(due.getMinutes())}` : "" };
}

/**
 * Return the due date for the values of a date and a time input.
 *
 * @param {string} date
 * @param {string} time
 */
export function dueOf(date, time) {
  return date ? new Date(`${date}T${time || "23:59:59"}`).toISOString() : null;
}

/** @param {Date} due */
function hasTime(due) {
  return due.getHours() * 60 + due.getMinutes() < END_OF_DAY_MINUTES;
}

/**
 * Count the days between two moments by the calendar, whatever the clock does in between.
 *
 * @param {Date} from
 * @param {Date} to
 */
function daysBetween(from, to) {
  const midnights = [from, to].map((date) => Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()));
  return (midnights[1] - midnights[0]) / DAY_MS;
}

/**
 * @param {Date} date
 * @param {Intl.DateTimeFormatOptions} options
 */
function format(date, options) {
  return new Intl.DateTimeFormat(locale, options).format(date);
}

/** @param {number} number */
function two(number) {
  return String(number).padStart(2, "0");
}
