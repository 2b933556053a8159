// What a forecast comes to, in a sentence.

import { number } from "../lib/dom.js";

const total = (values) => values.reduce((sum, value) => sum + value, 0);

export const middleLevel = (seen) => Object.keys(seen.ahead.quantiles).find((level) => Number(level) === 0.5);

/** The sum of the steps ahead, beside that of the naive forecast. */
export function summary(seen, naive, column) {
  const { ahead, scale, unit } = seen;
  const [all, plain] = [ahead.quantiles[middleLevel(seen)], ahead.naive[naive]].map(total);
  const steps = `${ahead.ds.length} ${scale === 1 ? unit : "steps"}`;
  return `${column} over the next ${steps}: ${number(all, 4)} in all; by the ${naive}, ${number(plain, 4)}.`;
}

/** By how much the sum has changed. */
export function effect(before, after, column) {
  const by = total(after) - total(before);
  if (Math.abs(by) < 1e-9) return "The forecast stays as it was.";
  const share = number((100 * Math.abs(by)) / Math.abs(total(before) || 1), 2);
  const change = `${number(Math.abs(by), 3)} ${by > 0 ? "more" : "less"} (${share} %)`;
  return `Moved: ${number(total(after), 4)} in all, ${change}, in ${column}.`;
}
