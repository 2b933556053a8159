// The columns of a table that is dropped: where they have other names than those of the training data, but only
// one of each kind is there, they are taken for these.

const LOOKED_AT = 20; // rows

const isDate = (cell) => /\d{4}|\d\d?[./-]\d\d?[./-]\d\d/.test(cell) && !Number.isNaN(Date.parse(cell)) && Number.isNaN(Number(cell));
const isNumber = (cell) => cell === "" || !Number.isNaN(Number(cell));

/** Return a table with the names of the model's time and value, and a sentence if that was not so before. */
export function named(csv, columns) {
  const lines = csv.split(/\r?\n/);
  const mark = [",", ";", "\t"].find((one) => lines[0].includes(one)) ?? ",";
  const head = lines[0].split(mark).map((name) => name.trim().replace(/^"(.*)"$/, "$1"));
  const rows = lines.slice(1, 1 + LOOKED_AT).filter(Boolean).map((line) => line.split(mark).map((cell) => cell.trim()));
  const taken = [columns.time, columns.value, columns.series, ...(columns.future ?? []), ...(columns.static ?? [])];
  const changed = [];
  for (const [wanted, fits] of [[columns.time, isDate], [columns.value, isNumber]]) {
    if (!wanted || head.includes(wanted)) continue;
    const found = head.filter((name, k) => !taken.includes(name) && rows.length && rows.every((row) => fits(row[k] ?? "")) && rows.some((row) => row[k]));
    if (found.length !== 1) continue;
    head[head.indexOf(found[0])] = wanted;
    changed.push(`“${found[0]}” as ${wanted}`);
  }
  if (!changed.length) return { csv, told: "" };
  return { csv: [head.join(mark), ...lines.slice(1)].join("\n"), told: ` Read ${changed.join(" and ")}.` };
}
