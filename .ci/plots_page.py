"""The page of `dvc plots show` with Vega in it, since DVC's own loads Vega from the web (`make plots`)."""

import sys

import vl_convert

SCRIPT = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version="5.20")
PAGE = f"""<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  {{refresh_tag}}
  <title>Plots</title>
  <style>body {{ font-family: sans-serif; margin: 2rem }} div {{ margin-bottom: 1.5rem }}</style>
  <script>
(() => {{
{SCRIPT}
}})();
  </script>
</head>
<body>
{{plot_divs}}
</body>
</html>
"""

if __name__ == "__main__":
    sys.stdout.write(PAGE)
