/**
 * Places in the page, each with a link: `#/` begins a chat, `#/c/12` is a conversation, `#/c/12/audit` all of its records.
 */

/** @typedef {{ conversationId: number | null, isAudit: boolean }} Place */

const PLACE = /^#\/c\/(\d{1,15})(\/audit)?$/;

/** @returns {Place} */
export function place() {
  const found = PLACE.exec(location.hash);
  return { conversationId: found ? Number(found[1]) : null, isAudit: Boolean(found?.[2]) };
}

/**
 * @param {number | null} conversationId
 * @param {"audit"} [view]
 */
export function linkTo(conversationId, view) {
  return conversationId === null ? "#/" : `#/c/${conversationId}${view ? `/${view}` : ""}`;
}

/** @param {string} link */
export function goTo(link) {
  location.hash = link;
}

/**
 * Name the place that is shown already, without going there.
 *
 * @param {string} link
 */
export function renamePlace(link) {
  history.replaceState(null, "", link);
}
