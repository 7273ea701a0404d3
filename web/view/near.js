const MARGIN = "600px";

/**
 * Call `run` whenever an element comes near the visible part of its scroller.
 *
 * @param {Element} element
 * @param {Element} scroller
 * @param {() => Promise<void>} run
 */
export function whenNear(element, scroller, run) {
  let isNear = false;
  let isRunning = false;
  const go = async () => {
    if (isRunning) return;
    isRunning = true;
    await run();
    isRunning = false;
  };
  const observer = new IntersectionObserver(
    async ([{ isIntersecting }]) => {
      isNear = isIntersecting;
      if (!isNear) return;
      await go();
      // If the page was short, the element is still near, and the observer would not tell again.
      observer.unobserve(element);
      observer.observe(element);
    },
    { root: scroller, rootMargin: MARGIN },
  );
  observer.observe(element);
}
