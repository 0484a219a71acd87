// Adding points without losing a digit: hundredths in BigInt, as the server counts them.

/** Hundredths of the decimal text that the server writes: at most two decimals, no exponent. */
function hundredths(points) {
  const [, sign, whole, fraction = ""] = /^(-?)(\d+)(?:\.(\d{1,2}))?$/.exec(points);
  return BigInt(sign + whole + fraction.padEnd(2, "0"));
}

function fromHundredths(value) {
  const digits = String(value < 0n ? -value : value).padStart(3, "0");
  const fraction = digits.slice(-2).replace(/0+$/, "");
  return (value < 0n ? "-" : "") + digits.slice(0, -2) + (fraction && `.${fraction}`);
}

export function sum(several) {
  return fromHundredths(several.reduce((total, points) => total + hundredths(points), 0n));
}
