// The daemon's log: lines on stderr, as systemd's journal takes them (<4> is a warning, <3> an error). It is given
// sentences and names; nothing that could be a value or a key ever reaches it.

export interface Log {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

export function stderrLog(): Log {
  const line = (priority: number, message: string): void => {
    process.stderr.write(`<${priority}>lapsed: ${message.replaceAll('\n', ' ')}\n`);
  };
  return {
    info: (message) => line(6, message),
    warn: (message) => line(4, message),
    error: (message) => line(3, message),
  };
}
