// A page of a site as it is reached from here.

/**
 * The settings know no proxy that adds TLS or takes another port: whoever came here that way goes on that way.
 * @param {{ path: string, url: string }} page
 */
export function siteAddress({ path, url }) {
  const { protocol, hostname, port } = window.location;
  const address = new URL(url);
  const domain = hostname.replace(/^portal\./, "");
  if (protocol !== "https:" || !address.hostname.endsWith(`.${domain}`)) return url;
  return `https://${address.hostname}${port ? `:${port}` : ""}${path}`;
}
