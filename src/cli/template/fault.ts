import { KbuildError } from "../../api.ts";

/** So much of a template is shown in an error. */
const SHOWN = 60;

/** What is wrong with a template, or with what it asks for. `at` counts characters from 0. */
export function templateFault(template: string, at: number, reason: string, hint?: string): KbuildError {
  const shown = template.length > SHOWN ? `${template.slice(0, SHOWN)}…` : template;
  return new KbuildError("usage.template", `the template ${JSON.stringify(shown)}, character ${at + 1}: ${reason}`, {
    hint,
  });
}
