/** A field of a line of CSV: its text, and where it stands in the line, quotes included. */
export interface CsvField {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** Why a line is no CSV, and where that shows. */
export interface CsvFault {
  readonly reason: string;
  readonly at: number;
}

/** The fields of one line of CSV (RFC 4180): quoted ones may hold commas, and `""` in them is a quote. */
export function splitCsv(line: string): readonly CsvField[] | CsvFault {
  const fields: CsvField[] = [];
  for (let start = 0; ; ) {
    const field = line[start] === '"' ? quotedField(line, start) : plainField(line, start);
    if ("reason" in field) return field;
    fields.push(field);
    if (field.end >= line.length) return fields;
    start = field.end + 1;
  }
}

function plainField(line: string, start: number): CsvField | CsvFault {
  const comma = line.indexOf(",", start);
  const end = comma < 0 ? line.length : comma;
  const text = line.slice(start, end);
  const quote = text.indexOf('"');
  if (quote >= 0) return { reason: "a quote stands in the middle of a field", at: start + quote };
  return { text, start, end };
}

function quotedField(line: string, start: number): CsvField | CsvFault {
  let text = "";
  for (let at = start + 1; ; ) {
    const quote = line.indexOf('"', at);
    if (quote < 0) return { reason: "a quote is not closed", at: start };
    text += line.slice(at, quote);
    if (line[quote + 1] !== '"') {
      const end = quote + 1;
      if (end < line.length && line[end] !== ",") return { reason: "something follows a closing quote", at: end };
      return { text, start, end };
    }
    text += '"';
    at = quote + 2;
  }
}
