/** What became of one line of a Pushpin configuration, for people. Never holds the value of a key. */
export interface Finding {
  /** Of the file that is meant: its name as the caller gave it. */
  readonly file: string;
  /** From 1; 0 where an option is meant that does not stand in the file. */
  readonly line: number;
  /** `proxy/sig_key`, or a property of a route such as `ssl`; empty where the whole line is meant. */
  readonly option: string;
  /**
   * `honoured`: it works here too. `ignored`: nothing is missing, or only something that few need. `refused`: it does not work
   * here and somebody may depend on it; a refused line of a routes file is not taken over.
   */
  readonly verdict: 'honoured' | 'ignored' | 'refused';
  readonly text: string;
}

/** By line; what turned out to be faulty is not called honoured beside it. All of one file. */
export function withFaults(findings: readonly Finding[], faults: readonly Finding[]): Finding[] {
  const faulty = ({ line, option }: Finding): boolean => faults.some((fault) => fault.line === line && fault.option === option);
  const rest = findings.filter((finding) => finding.verdict !== 'honoured' || !faulty(finding));
  return [...rest, ...faults].toSorted((a, b) => a.line - b.line);
}
