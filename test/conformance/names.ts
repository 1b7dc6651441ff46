// Names in URLs and on disk: everything but letters, digits and `_.-~` as percent-encoded UTF-8 (RFC 3986 §2.3).

export function encodeName(name: string): string {
  return encodeURIComponent(name).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** A target's path: each directory by itself. */
export function encodePath(path: string): string {
  return path.split('/').map(encodeName).join('/');
}
