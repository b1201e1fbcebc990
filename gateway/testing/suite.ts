/** The words of a test runner, whichever it is: the contract suites run under mocha, and under others with the same two words. */
type Body = () => void | Promise<void>;

interface Words {
  describe(title: string, body: () => void): void;
  it(title: string, body: Body): void;
}

export function describe(title: string, body: () => void): void {
  words().describe(title, body);
}

export function it(title: string, body: Body): void {
  words().it(title, body);
}

function words(): Words {
  const { describe: describes, it: its } = globalThis as Partial<Words>;
  if (describes === undefined || its === undefined)
    throw new Error('The contract suites need a test runner that offers describe and it.');
  return { describe: describes, it: its };
}
