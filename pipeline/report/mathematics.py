"""Mathematics on the page: LaTeX between dollar signs becomes MathML, which browsers set by themselves."""

import re

from latex2mathml.converter import convert
from markupsafe import Markup, escape

FORMULA = re.compile(r"\$([^$]+)\$")
_POWER = re.compile(r"(?P<mantissa>\d[\d.]*)e(?P<sign>[+-])0*(?P<exponent>\d+)")
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def with_math(text: str) -> Markup:
    r"""Return a text of ours as markup, its formulas as MathML.

    Examples
    --------
    >>> with_math(r"a < $\lambda$")
    Markup('a &lt; <math><mrow><mi>&#x003BB;</mi></mrow></math>')
    """
    parts = FORMULA.split(text)
    return Markup("").join(_mathml(part) if k % 2 else escape(part) for k, part in enumerate(parts))


def _mathml(formula: str) -> Markup:
    return Markup(re.sub(r"<math [^>]*>", "<math>", convert(formula)))


def powers(text: str) -> str:
    """Return numbers such as 1.5e-13 as powers of ten.

    Examples
    --------
    >>> powers("1.5e-13"), powers("1e+03"), powers("0.25")
    ('1.5 × 10⁻¹³', '10³', '0.25')
    """

    def power(found: re.Match[str]) -> str:
        ten = f"10{(found['sign'].strip('+') + found['exponent']).translate(_RAISED)}"
        return ten if found["mantissa"] == "1" else f"{found['mantissa']} × {ten}"

    return _POWER.sub(power, text)
