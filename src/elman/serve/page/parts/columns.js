// The columns of a table that is dropped: where they have other names than those of the training data, others are
// taken for them, and the reader may take different ones.

import { listed } from "./choice.js";

const LOOKED_AT = 20; // rows

const isDate = (cell) =>
  /\d{4}|\d\d?[./-]\d\d?[./-]\d\d/.test(cell) &&
  !Number.isNaN(Date.parse(cell)) &&
  Number.isNaN(Number(cell));
// also 1,234: what the server says of such numbers helps more than that there is no column
const isNumber = (cell) => !Number.isNaN(Number(cell.replaceAll(",", "")));

/** Return the cells of a line, without their quotes; a mark within these parts none. */
function cells(line, mark) {
  const found = line.match(new RegExp(`(?:"[^"]*"|[^"${mark}])+|(?<=^|${mark})(?=${mark}|$)`, "g")) ?? [];
  return found.map((cell) => cell.trim().replace(/^"(.*)"$/, "$1"));
}

function parsed(csv) {
  const lines = csv.split(/\r?\n/);
  const mark = [",", ";", "\t"].find((one) => lines[0].includes(one)) ?? ",";
  const head = lines[0].split(mark).map((name) => name.trim().replace(/^"(.*)"$/, "$1"));
  const rows = lines
    .slice(1, 1 + LOOKED_AT)
    .filter(Boolean)
    .map((line) => cells(line, mark));
  return { lines, mark, head, rows };
}

/** Return which columns of a table could be the model's time and value where it has none of that name: {wanted, options}. */
export function missing(csv, columns) {
  const { head, rows } = parsed(csv);
  const taken = [
    columns.time,
    columns.value,
    columns.series,
    ...(columns.future ?? []),
    ...(columns.static ?? []),
  ];
  const fitting = (fits) =>
    head.filter(
      (name, k) =>
        name &&
        !taken.includes(name) &&
        rows.every((row) => fits(row[k] ?? "")) &&
        rows.some((row) => row[k]),
    );
  return [
    [columns.time, isDate],
    [columns.value, isNumber],
  ]
    .filter(([wanted]) => wanted && !head.includes(wanted))
    .map(([wanted, fits]) => ({ wanted, options: fitting(fits) }))
    .filter(({ options }) => options.length);
}

/**
 * Return a table with the model's names in its head: `picked` is by wanted name the one that the table has. Where
 * the model knows several series and the table names none, it is one of its own, called `name`.
 */
export function renamed(csv, picked, columns, name) {
  const { lines, mark, head } = parsed(csv);
  for (const [wanted, found] of Object.entries(picked)) {
    if (head.includes(found) && !head.includes(wanted)) head[head.indexOf(found)] = wanted;
  }
  const rows = lines.slice(1);
  if (!columns.series || head.includes(columns.series)) return [head.join(mark), ...rows].join("\n");
  const called = `"${name.replaceAll('"', "")}"`;
  const own = rows.map((line) => (line.trim() ? `${line}${mark}${called}` : line));
  return [`${head.join(mark)}${mark}${columns.series}`, ...own].join("\n");
}

/** Return a sentence of the server about a renamed table with the names that the table has. */
export function inItsNames(sentence, picked) {
  const found = (quoted, wanted) => (wanted in picked ? `'${picked[wanted]}'` : quoted);
  return sentence.replace(/'([^']*)'/g, found);
}

/** Return the choices of columns, where a table has several that could be meant; `pick` is called with each. */
export function columnChoices(missed, picked, pick) {
  return missed.map(({ wanted, options }) =>
    listed(`column-${wanted}`, `${wanted} is the column`, options, picked[wanted], (name) =>
      pick(wanted, name),
    ),
  );
}
