// What the main thread wants of the serving thread, as one Int32 that both see: looked at after each request.

/** The last two are what a drill does to it: it throws, or hangs for good. */
export const ORDER = { serve: 0, end: 1, fail: 2, hang: 3 } as const;
