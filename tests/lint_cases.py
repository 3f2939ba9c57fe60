"""Notebooks for the rules of lint: ten planted and ten clean a rule, each written down before the rules were tried.

A notebook is a text whose cells are separated by lines of three hyphens. A planted one names the cell in which the
finding is expected, 0 for the notebook as a whole. Where two cells contradict each other, it is the lower one.
"""

# ruff: noqa: E501  a notebook is easier to read on one line
from __future__ import annotations

from typing import Any

PD, NP, PLT = "import pandas as pd", "import numpy as np", "import matplotlib.pyplot as plt"
SPLIT = "from sklearn.model_selection import train_test_split"
DF = "df = pd.DataFrame({'a': [1, 2, 3], 'b': [4, 5, 6]})"


def nb(
    text: str, *, counts: list | None = None, outputs: dict | None = None, tags: dict | None = None
) -> dict[str, Any]:
    """A notebook of these cells."""
    cells = []
    for i, source in enumerate(text.split("\n---\n")):
        count = counts[i] if counts else None
        meta = {"tags": list(tags[i + 1])} if tags and i + 1 in tags else {}
        made = (outputs or {}).get(i + 1, [])
        cells.append(
            {"cell_type": "code", "source": source, "metadata": meta, "execution_count": count, "outputs": made}
        )
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}


def stream(text: str) -> list:
    return [{"output_type": "stream", "name": "stdout", "text": text}]


def shown(text: str) -> list:
    return [{"output_type": "display_data", "metadata": {}, "data": {"text/plain": text}}]


def error(name: str, value: str) -> list:
    return [{"output_type": "error", "ename": name, "evalue": value, "traceback": []}]


THREE = "a = 1\n---\nb = a\n---\nprint(b)"
KEY = "sk-" + "a1B2" * 8
TOKEN = "ghp_" + "a1B2c3" * 6

PLANTED: dict[str, list[tuple[dict[str, Any], int]]] = {
    "MLN-N001": [
        (nb(THREE, counts=[1, 3, 2]), 3),
        (nb(THREE, counts=[2, 1, 3]), 2),
        (nb(THREE, counts=[5, 6, 1]), 3),
        (nb(THREE, counts=[1, 1, 2]), 2),
        (nb(THREE, counts=[9, 2, 3]), 1),
        (nb("a = 1\n---\nb = a\n---\nc = b\n---\nprint(c)", counts=[1, 2, 9, 4]), 4),
        (nb("a = 1\n---\nb = a\n---\nc = b\n---\nprint(c)", counts=[7, 8, 9, 2]), 4),
        (nb("a = 1\n---\n# note\n---\nprint(a)", counts=[4, None, 2]), 3),
        (nb("a = 1\n---\nprint(a)", counts=[2, 1]), 2),
        (nb("%matplotlib inline\n---\na = 1\n---\nprint(a)", counts=[3, 1, 2]), 1),
    ],
    "MLN-N002": [
        (nb("print(df.head())"), 1),
        (nb("x = 1\n---\nprint(x + y)"), 2),
        (nb("print(total)\n---\ntotal = 3"), 1),
        (nb("def f():\n    return scale * 2\n---\nprint(f())"), 1),
        (nb("def f():\n    return rate\n---\nf()\n---\nrate = 2"), 1),
        (nb("x = 1\ndel x\n---\nprint(x)"), 2),
        (nb(f"{PD}\n---\nmodel.fit(pd.DataFrame())"), 2),
        (nb("out = [f(i) for i in range(3)]\nprint(out)"), 1),
        (nb("np.zeros(3)\n---\nimport numpy as np"), 1),
        (nb("n += 1\nprint(n)"), 1),
        (nb("if True:\n    print(flag)"), 1),
        (nb("x = lambda v: v * factor\nprint(x(2))"), 1),
    ],
    "MLN-N003": [
        (nb(f"{PD}\ndf = pd.read_csv('/home/ada/data.csv')\ndf"), 1),
        (nb(f"{PD}\n---\ndf = pd.read_csv(r'C:\\Users\\ada\\data.csv')\ndf"), 2),
        (nb("path = '/Users/ada/project'\nprint(path)"), 1),
        (nb("f = open('~/data.txt')\nprint(f)"), 1),
        (nb("import os\nos.chdir('/mnt/disk/work')"), 1),
        (nb("from pathlib import Path\nroot = Path('/data/raw')\nprint(root)"), 1),
        (nb("name = 'x'\nprint(open(f'/content/drive/{name}.csv').read())"), 1),
        (nb("%cd /content/drive/MyDrive"), 1),
        (nb("import sys\nsys.path.append('/opt/tools/lib')"), 1),
        (nb("!unzip /kaggle/input/x.zip"), 1),
        (nb("data_dir = 'D:/data/images'\nprint(data_dir)"), 1),
        (nb(f"{PD}\npd.DataFrame().to_csv('/tmp/out.csv')"), 1),
    ],
    "MLN-N004": [
        (nb(f"{SPLIT}\n---\na, b = train_test_split(range(9))\nprint(a, b)"), 2),
        (nb("from sklearn.ensemble import RandomForestClassifier\nm = RandomForestClassifier(n_estimators=5)\nm"), 1),
        (nb(f"{NP}\n---\nprint(np.random.rand(3))"), 2),
        (nb("import random\nrandom.shuffle(x := [1, 2])\nprint(x)"), 1),
        (nb(f"{NP}\nrng = np.random.default_rng()\nprint(rng.normal())"), 1),
        (nb(f"{PD}\n{DF}\ndf.sample(frac=1)"), 1),
        (nb("from sklearn.model_selection import KFold\nk = KFold(5, shuffle=True)\nk"), 1),
        (nb("from sklearn.cluster import KMeans as K\nK(3, random_state=None)"), 1),
        (nb("import torch\nprint(torch.randn(3))"), 1),
        (nb("from sklearn import ensemble\nensemble.GradientBoostingRegressor()"), 1),
        (nb(f"{NP}\nprint(np.random.normal(size=3))\n---\nnp.random.seed(1)"), 1),
        (nb("from sklearn.svm import SVC\nSVC(probability=True)"), 1),
        (nb("from numpy.random import randint\nprint(randint(3))"), 1),
        (nb("from sklearn.datasets import make_blobs\nx, y = make_blobs(50)\nprint(x, y)"), 1),
    ],
    "MLN-N005": [
        (nb("password = 'correct-horse-9'\nprint(len(password))"), 1),
        (nb(f"x = 1\n---\nkey = '{KEY}'\nprint(key)"), 2),
        (nb(f"token = '{TOKEN}'\nprint(token)"), 1),
        (nb("url = 'postgresql://ada:s3cretpw@db.example.org/x'\nprint(url)"), 1),
        (nb("print(1)", outputs={1: stream(f"token {TOKEN}\n")}), 1),
        (nb("import os\nos.environ['AWS_SECRET_ACCESS_KEY'] = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'"), 1),
        (nb("connect(user='ada', password='Tr0ub4dor&3')"), 1),
        (nb("!curl -H 'Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abcdefghijk' x"), 1),
        (nb("cfg = {'api_key': '0a1b2c3d4e5f60718293'}\nprint(cfg)"), 1),
        (nb("1", outputs={1: shown("'https://ada:hunter22@example.org/repo'")}), 1),
    ],
    "MLN-N006": [
        (nb("!pip install pandas"), 1),
        (nb("x = 1\n---\n%pip install -q lightgbm==4.0\nprint(x)"), 2),
        (nb("!pip3 install --upgrade xgboost"), 1),
        (nb("import sys\n!{sys.executable} -m pip install shap"), 1),
        (nb("%conda install -y numpy"), 1),
        (nb("import subprocess\nsubprocess.run(['pip', 'install', 'numpy'])"), 1),
        (nb("import subprocess, sys\nsubprocess.check_call([sys.executable, '-m', 'pip', 'install', 'numpy'])"), 1),
        (nb("import os\nos.system('pip install numpy')"), 1),
        (nb("%%bash\npip install numpy\necho done"), 1),
        (nb("!apt-get install -y graphviz"), 1),
        (nb("try:\n    import shap\nexcept ImportError:\n    !pip install shap"), 1),
        (nb("!uv pip install polars"), 1),
    ],
    "MLN-N007": [
        (nb(f"{PD}\n{DF}\n---\nmeans = df.mean()\n---\nprint(df)"), 2),
        (nb("x = 1\n---\n\n---\nprint(x)"), 2),
        (nb("def never(a):\n    return a\n---\nprint(1)"), 1),
        (nb("a = 5\n---\nprint(1)"), 1),
        (nb("print(1)\n---\n# df = pd.read_csv('x')\n# df.head()\n---\nprint(2)"), 2),
        (nb(f"{PD}\n{DF}\ndf\n---\nsmall = df[df.a > 1].copy()\ncounts = small.b.value_counts()"), 2),
        (nb("x = [3, 1]\n---\ny = sorted(x)\n---\nprint(x)"), 2),
        (nb("class Never:\n    pass\n---\nprint(1)"), 1),
        (nb(f"{NP}\nx = np.zeros(3)\nprint(x)\n---\nnorm = np.sqrt((x ** 2).sum())"), 2),
        (nb("x = 2\nprint(x)\n---\nunits: int = 3\n---\nprint(x)"), 2),
    ],
    "MLN-N008": [
        (nb("import os\nprint(1)"), 1),
        (nb(f"{NP}\n{PD}\nprint(np.zeros(2))"), 1),
        (nb("print(1)\n---\nfrom collections import Counter, deque\nprint(Counter())"), 2),
        (nb("import matplotlib.pyplot as plt\nprint(1)"), 1),
        (nb("from sklearn.linear_model import LinearRegression as LR\nprint(1)"), 1),
        (nb("import json, sys\nprint(json.dumps({}))"), 1),
        (nb("import xml.etree.ElementTree\nprint(1)"), 1),
        (nb("import os\ndef f(os):\n    return os\nprint(f(1))"), 1),
        (nb("from math import (\n    sqrt,\n    pi,\n)\nprint(sqrt(2))"), 1),
        (nb("import time\n# time.sleep(1)\nprint('time')"), 1),
    ],
    "MLN-N009": [
        (nb("from math import *\nprint(sqrt(2))"), 1),
        (nb("print(1)\n---\nfrom numpy import *\nprint(zeros(2))"), 2),
        (nb("from os.path import *\nprint(join('a', 'b'))"), 1),
        (nb("from helpers import *\nclean()"), 1),
        (nb("from .helpers import *\nclean()"), 1),
        (nb("import os\nfrom math import *; print(pi, os.sep)"), 1),
        (nb("try:\n    from tkinter import *\nexcept ImportError:\n    pass"), 1),
        (nb("%matplotlib inline\nfrom pylab import *\nplot([1])"), 1),
        (nb("from sklearn.metrics import *\nprint(accuracy_score([1], [1]))"), 1),
        (nb("if True:\n    from math import *\nprint(pi)"), 1),
    ],
    "MLN-N010": [
        (nb("list = [1, 2]\nprint(list)"), 1),
        (nb("x = 1\n---\nsum = x + 2\nprint(sum)"), 2),
        (nb("for id in range(3):\n    print(id)"), 1),
        (nb("import datetime\n---\nfrom datetime import datetime\nprint(datetime.now())"), 2),
        (nb(f"{NP}\nprint(np)\n---\nnp = 3\nprint(np)"), 2),
        (nb("def score(a):\n    return a\n---\nscore = score(3)\nprint(score)"), 2),
        (nb("with open('x') as input:\n    print(input)"), 1),
        (nb("def max(a, b):\n    return a\nprint(max(1, 2))"), 1),
        (nb("dict, str = 1, 2\nprint(dict, str)"), 1),
        (nb("from numpy import sum\nprint(sum([1]))"), 1),
        (nb("import time\nprint(time)\n---\nfor time in range(3):\n    print(time)"), 2),
        (nb("from math import floor\nprint(floor(2))\n---\ndef floor(x):\n    return x\nprint(floor(2))"), 2),
    ],
    "MLN-N011": [
        (nb(f"{PD}\na = pd.read_csv('x.csv')\nb = pd.read_csv('x.csv')\nprint(a, b)"), 1),
        (nb(f"{PD}\na = pd.read_csv('x.csv')\n---\nb = pd.read_csv('./x.csv')\nprint(a, b)"), 1),
        (nb(f"{PD}\na = pd.read_csv('data/x.csv')\n---\nb = pd.read_csv('/home/ada/data/x.csv')\nprint(a, b)"), 1),
        (
            nb(
                f"{PD}\na = pd.read_csv('https://example.org/titanic.csv')\nb = pd.read_csv('titanic.csv')\nprint(a, b)"
            ),
            1,
        ),
        (nb(f"{PD}\np = 'x.csv'\na = pd.read_csv(p)\nb = pd.read_csv('data/../x.csv')\nprint(a, b)"), 1),
        (nb("a = open('x.txt').read()\nb = open('x.txt').readlines()\nprint(a, b)"), 1),
        (nb(f"{NP}\na = np.load('x.npy')\n---\nb = np.load(file='x.npy')\nprint(a, b)"), 1),
        (
            nb(
                f"{PD}\nimport os\na = pd.read_csv(os.path.join('data', 'x.csv'))\nb = pd.read_csv('data/x.csv')\nprint(a, b)"
            ),
            1,
        ),
        (
            nb(
                f"{PD}\nfrom pathlib import Path\na = pd.read_csv(Path('d') / 'x.csv')\nb = pd.read_csv('d/x.csv')\nprint(a, b)"
            ),
            1,
        ),
        (
            nb(
                f"{PD}\na = pd.read_excel('x.xlsx', sheet_name=0)\nb = pd.read_excel('x.xlsx', sheet_name=1)\nprint(a, b)"
            ),
            1,
        ),
    ],
    "MLN-N012": [
        (nb(f"{PLT}\nplt.figure()\nplt.show()"), 1),
        (nb(f"{PLT}\n---\nfig, ax = plt.subplots()\nax.set_title('x')"), 2),
        (nb(f"{PLT}\nplt.figure(figsize=(8, 4))\nplt.title('Sales')\nplt.xlabel('day')\nplt.show()"), 1),
        (nb(f"{PLT}\nplt.subplot(1, 2, 1)\nplt.grid(True)"), 1),
        (nb(f"{PLT}\nfig, axes = plt.subplots(2, 2)\nplt.tight_layout()"), 1),
        (nb("df.plot()", outputs={1: shown("<Figure size 640x480 with 0 Axes>")}), 1),
        (nb(f"{PLT}\nimport seaborn as sns\nplt.figure()\nsns.pairplot(df)"), 1),
        (nb(f"{PLT}\nimport seaborn as sns\nplt.figure(figsize=(9, 9))\nsns.catplot(data=df, x='a')\nplt.show()"), 1),
        (nb(f"{PLT}\nfig = plt.figure()\nprint('here')\nplt.savefig('x.png')"), 1),
        (nb("from matplotlib import pyplot\npyplot.figure()\npyplot.legend()"), 1),
    ],
    "MLN-N013": [
        (nb("print(x)", outputs={1: error("NameError", "name 'x' is not defined")}), 1),
        (nb("a = 1\n---\n1 / 0", outputs={2: error("ZeroDivisionError", "division by zero")}), 2),
        (nb("raise ValueError('stop here')"), 1),
        (nb("print(1)\n---\nexit()"), 2),
        (nb("import sys\nsys.exit(0)"), 1),
        (nb("assert False, 'do not run below'\n---\nprint(1)"), 1),
        (nb("import nothing", outputs={1: error("ModuleNotFoundError", "No module named 'nothing'")}), 1),
        (nb("quit()"), 1),
        (nb("raise SystemExit"), 1),
        (nb("f()", outputs={1: [*stream("working\n"), *error("KeyboardInterrupt", "")]}), 1),
    ],
    "MLN-N014": [
        (nb("x = = 1"), 1),
        (nb("print(1)\n---\ndef f(:\n    pass"), 2),
        (nb("print 'hello'"), 1),
        (nb("x = (1,"), 1),
        (nb("for i in range(3)\n    print(i)"), 1),
        (nb("if True:\nprint(1)"), 1),
        (nb("This cell is a note."), 1),
        (nb("x = 'unclosed\nprint(x)"), 1),
        (nb("%matplotlib inline\nreturn = 3"), 1),
        (nb("a = 1\n---\n  b = 2\nc = 3"), 2),
    ],
    "MLN-N015": [
        (nb("%%bash\nls -l > files.txt"), 1),
        (nb("x = 1\n---\n%%R\nplot(1)"), 2),
        (nb("%%javascript\nalert(1)"), 1),
        (nb("%%sql\nselect 1"), 1),
        (nb("%%cython\ndef f(int x): return x"), 1),
        (nb("!wget https://example.org/x.csv"), 1),
        (nb("%run other.py"), 1),
        (nb("%%perl\nprint 1"), 1),
        (nb("!rm -rf out"), 1),
        (nb("files = !ls\nprint(files)"), 1),
    ],
    "MLN-N016": [
        (nb("import numpy as np\nprint(np)"), 0),
        (nb("import pandas as pd\nprint(pd)"), 0),
        (nb("from sklearn.svm import SVC\nprint(SVC)"), 0),
        (nb("import matplotlib.pyplot as plt\nprint(plt)"), 0),
        (nb("import os\n---\nimport scipy\nprint(os, scipy)"), 0),
        (nb("def f():\n    import numpy\n    return numpy\nprint(f())\n---\nimport numpy\nprint(numpy)"), 0),
        (nb("try:\n    import yaml\nexcept ImportError:\n    yaml = None\nprint(yaml)"), 0),
        (nb("from numpy import *\nprint(zeros(2))"), 0),
        (nb("import numpy, pandas\nprint(numpy, pandas)"), 0),
        (nb("from pydantic import BaseModel\nprint(BaseModel)"), 0),
    ],
    "MLN-N017": [
        (nb("def f(a=[]):\n    return a\nprint(f())"), 1),
        (nb("def f(a={}):\n    return a\nprint(f())"), 1),
        (nb("def f(*, a=set()):\n    return a\nprint(f())"), 1),
        (nb("f = lambda a=[]: a\nprint(f())"), 1),
        (nb("class A:\n    def f(self, a=[1]):\n        return a\nprint(A())"), 1),
        (nb("print(1)\n---\ndef f(x, a=dict()):\n    return a\nprint(f(1))"), 2),
        (nb("async def f(a=[]):\n    return a\nprint(f)"), 1),
        (nb("def f(a=[i for i in range(3)]):\n    return a\nprint(f())"), 1),
        (nb("def f(a=list()):\n    return a\nprint(f())"), 1),
        (nb("def f():\n    def g(a={}):\n        return a\n    return g\nprint(f())"), 1),
    ],
    "MLN-N018": [
        (nb("try:\n    x = 1\nexcept:\n    pass"), 1),
        (nb("try:\n    x = 1\nexcept Exception:\n    pass"), 1),
        (nb("try:\n    x = 1\nexcept BaseException:\n    ..."), 1),
        (nb("for i in [1]:\n    try:\n        print(i)\n    except:\n        continue"), 1),
        (nb("def f():\n    try:\n        return 1\n    except Exception:\n        pass\nprint(f())"), 1),
        (nb("print(1)\n---\ntry:\n    print(2)\nexcept Exception as e:\n    pass"), 2),
        (nb("try:\n    x = 1\nexcept ValueError:\n    print('bad')\nexcept:\n    pass"), 1),
        (nb("while True:\n    try:\n        break\n    except:\n        pass"), 1),
        (
            nb(
                "class A:\n    def f(self):\n        try:\n            return 1\n        except:\n            pass\nprint(A)"
            ),
            1,
        ),
        (nb("try:\n    x = 1\nexcept:\n    pass\nfinally:\n    print(1)"), 1),
    ],
}

CLEAN: dict[str, list[dict[str, Any]]] = {
    "MLN-N001": [
        nb(THREE, counts=[1, 2, 3]),
        nb(THREE),
        nb(THREE, counts=[4, 9, 12]),
        nb("a = 1\n---\n\n---\nprint(a)", counts=[1, None, 2]),
        nb("a = 1\n---\nb = 2\n---\nprint(a, b)", counts=[1, None, 2]),
        nb("print(1)", counts=[7]),
        nb("a = 1\n---\n# note\n---\nprint(a)", counts=[2, 3, 4]),
        nb(THREE, counts=[None, None, 1]),
        nb("", counts=[3]),
        nb("a = 1\n---\nprint(a)\n---\n", counts=[5, 6, 1]),
    ],
    "MLN-N002": [
        nb("x = 1\n---\nprint(x)"),
        nb("def f():\n    return later\n---\nlater = 1\n---\nprint(f())"),
        nb("from numpy import *\nprint(zeros(3))"),
        nb("print(_, _1, In, Out[2], __name__)\ndisplay(get_ipython())"),
        nb("print([i for i in range(3)], {k: v for k, v in {}.items()}, (lambda q: q)(1))"),
        nb("if 1 > 2:\n    y = 1\nelse:\n    y = 2\nprint(y)"),
        nb("try:\n    print(cache)\nexcept NameError:\n    cache = {}\nprint(cache)"),
        nb("%run setup.py\nprint(settings)"),
        nb("with open('x') as f:\n    t = f.read()\nfor i, line in enumerate(t):\n    print(i, line)"),
        nb(
            "class A:\n    n = 1\n    m = n + 1\n    def f(self):\n        return __class__, self.n, later\n---\na = A()\n---\nlater = 1\na.f()"
        ),
        nb("files = !ls\nprint(files)\n---\n%%capture out\nz = 1\n---\nprint(out, z)"),
        nb(
            "import os.path as p, sys\nglobal_names = sys.modules\ndef f():\n    global made\n    made = 1\nf()\nprint(made, p, global_names)"
        ),
        nb(
            "match [1, 2]:\n    case [a, *rest]:\n        print(a, rest)\n    case {'k': v, **more}:\n        print(v, more)"
        ),
        nb("if (n := len([1])) > 0:\n    print(n)\nprint([last := q for q in [1]], last)"),
        nb("exec('hidden = 1')\nprint(hidden)"),
        nb("for k in range(3):\n    if k > 0:\n        print(previous)\n    previous = k"),
    ],
    "MLN-N003": [
        nb(f"{PD}\ndf = pd.read_csv('data/x.csv')\ndf"),
        nb("url = 'https://example.org/home/ada/x.csv'\nprint(url)"),
        nb("import re\nprint(re.findall('/home/\\\\d+/', 'x'), re.sub('/', '_', 'a/b'))"),
        nb("path = '../data/x.csv'\nprint(path)"),
        nb("print('/home/ada is a folder')\nsep = '/'\nprint(sep)"),
        nb("import requests\nrequests.get('/data/items')"),
        nb("xpath = '//div[@id=\"home\"]/a'\nprint(xpath)"),
        nb("ratio = 'km/h'\ndate = '01/02/2020'\nprint(ratio, date)"),
        nb(f"{PD}\nstore = pd.read_hdf('x.h5', '/group/table')\nstore"),
        nb('def f():\n    """Reads /home/ada/x.csv"""\nprint(f)'),
        nb("open('/dev/null')"),
        nb("@app.route('/users/list.json')\ndef users():\n    return 1"),
        nb("!ls data/raw\n---\n%timeit 3/4"),
        nb("text = 'C: the third'\ntime = '~ 5'\nprint(text, time)"),
    ],
    "MLN-N004": [
        nb(f"{SPLIT}\na, b = train_test_split(range(9), random_state=1)\nprint(a, b)"),
        nb(f"{NP}\nnp.random.seed(0)\nprint(np.random.rand(3))"),
        nb(f"{NP}\nrng = np.random.default_rng(3)\nprint(rng.normal())"),
        nb(f"{NP}\n{SPLIT}\nnp.random.seed(7)\n---\na, b = train_test_split(range(9))\nprint(a, b)"),
        nb(
            "from sklearn.linear_model import LinearRegression, LogisticRegression\nLinearRegression(), LogisticRegression()"
        ),
        nb("from sklearn.model_selection import KFold\nKFold(5)"),
        nb("import random\nrandom.seed(1)\nprint(random.random())"),
        nb(f"{PD}\n{DF}\ndf.sample(2, random_state=1)"),
        nb(
            "from sklearn.ensemble import RandomForestClassifier\nopts = {'random_state': 1}\nRandomForestClassifier(**opts)"
        ),
        nb("import torch\ntorch.manual_seed(0)\nprint(torch.randn(2))"),
        nb(
            "def seed_everything(s):\n    import random\n    random.seed(s)\nseed_everything(1)\nimport numpy as np\nprint(np.random.rand())"
        ),
        nb(f"{NP}\nstate = np.random.RandomState(42)\nprint(state.rand(3), np.random.RandomState(seed=1))"),
        nb("class KMeans:\n    pass\nKMeans()"),
        nb(f"{SPLIT}\na, b = train_test_split(range(9), shuffle=False)\nprint(a, b)"),
        nb(
            "import scipy.stats as st\nprint(st.norm.rvs(size=3, random_state=1))\nfrom sklearn.neighbors import KNeighborsClassifier\nKNeighborsClassifier()"
        ),
    ],
    "MLN-N005": [
        nb("import os\npassword = os.environ['PASSWORD']\nprint(len(password))"),
        nb("from getpass import getpass\ntoken = getpass()\nprint(len(token))"),
        nb("tokens = text.split()\nn_tokens = len(tokens)"),
        nb("key = 'age'\nprint(df[key])"),
        nb("api_key = '<your key here>'\nprint(api_key)"),
        nb("url = 'https://example.org/data.csv?raw=true'\nprint(url)"),
        nb("df = df.merge(other, on='key')\nprimary_key = 'id'"),
        nb("print('Enter your password:')"),
        nb("sha = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'\nprint(sha)"),
        nb("print(1)", outputs={1: stream("token count: 512\nkey  value\n")}),
    ],
    "MLN-N006": [
        nb("!pip list"),
        nb("!pip freeze > requirements.txt"),
        nb("# !pip install pandas\nprint(1)"),
        nb("print('run pip install pandas first')"),
        nb("import pip\nprint(pip.__version__)"),
        nb("import subprocess\nsubprocess.run(['ls', '-l'])"),
        nb("%pip --version"),
        nb("!ls installed"),
        nb("%%bash\n# pip install x\nls"),
        nb("text = '!pip install pandas'\nprint(text)"),
    ],
    "MLN-N007": [
        nb("x = 1\n---\nprint(x)"),
        nb("x = 1\nx"),
        nb("import numpy as np\n---\nprint(np)"),
        nb("items = []\n---\nitems.append(1)\n---\nprint(items)"),
        nb("def save(a):\n    open('x', 'w').write(a)\n---\nresult = save('a')"),
        nb("%matplotlib inline"),
        nb("def helper(a):\n    return a\n---\nprint(helper(1))"),
        nb("print(1)\n---\n"),
        nb("# Part two: the model\n---\nprint(1)"),
        nb("alpha = 0.1\n---\nprint(1)", tags={1: ["parameters"]}),
        nb("import pandas as pd\ndf = pd.DataFrame()\ndf['a'] = 1\n---\nprint(df)"),
        nb("import matplotlib.pyplot as plt\nfig = plt.figure()\n---\nax = fig.add_subplot()\nax.plot([1])"),
        nb("limit = 3\n---\nimport pandas as pd\npd.DataFrame({'a': [1]}).query('a < @limit')"),
        nb("seed = 3\nimport random\nrandom.seed(seed)"),
        nb("a = 1\nprint(globals()['a'])\n---\nb = 2"),
        nb("x = 2\n---\n%timeit x + 1"),
    ],
    "MLN-N008": [
        nb("import os\nprint(os.sep)"),
        nb(f"{NP}\n---\ndef f():\n    return np.zeros(2)\nprint(f())"),
        nb("from __future__ import annotations\nprint(1)"),
        nb("from mpl_toolkits.mplot3d import Axes3D\nprint(1)"),
        nb("try:\n    import cudf\nexcept ImportError:\n    pass"),
        nb("import matplotlib\nimport matplotlib.pyplot as plt\nmatplotlib.use('Agg')\nplt.plot([1])"),
        nb("import time\n%timeit time.sleep(0)"),
        nb("from sklearn.experimental import enable_iterative_imputer\nprint(1)"),
        nb("import numpy as np\ndef f(a: 'np.ndarray') -> None:\n    return a\nprint(f(1))"),
        nb("import os\n!echo {os.sep}"),
        nb("import json\nclass A:\n    def f(self):\n        return [json.dumps(x) for x in [1]]\nprint(A().f())"),
        nb("#| export\nimport os\n---\nprint(1)"),
        nb("import pandas as pd\n@pd.api.extensions.register_dataframe_accessor('x')\nclass X:\n    pass"),
    ],
    "MLN-N009": [
        nb("from math import sqrt\nprint(sqrt(2))"),
        nb("import math\nprint(math.pi)"),
        nb("print(2 * 3)"),
        nb("# from math import *\nprint(1)"),
        nb("text = 'from math import *'\nprint(text)"),
        nb("a, *rest = [1, 2]\nprint(a, *rest)"),
        nb("from math import (\n    sqrt,\n    pi,\n)\nprint(sqrt(pi))"),
        nb("import numpy as np\nprint(np.array([1]) * 2)"),
        nb("def f(*args, **kw):\n    return args, kw\nprint(f(*[1]))"),
        nb("!ls *.csv"),
    ],
    "MLN-N010": [
        nb("list_ = [1]\nprint(list_)"),
        nb("for _ in range(3):\n    print(_)"),
        nb("import numpy as np\n---\nimport numpy as np\nprint(np)"),
        nb("def f(list, id):\n    sum = list + id\n    return sum\nprint(f(1, 2))"),
        nb("print([id for id in range(3)], {type: 1 for type in 'a'})"),
        nb("class A:\n    id = 1\n    def filter(self):\n        return 1\nprint(A())"),
        nb("def f(a):\n    return a\n---\nimport functools\nf = functools.lru_cache(f)\nprint(f(1))"),
        nb("try:\n    import ujson as json\nexcept ImportError:\n    import json\nprint(json)"),
        nb("from tqdm import tqdm\nprint(tqdm)\n---\nfrom tqdm.notebook import tqdm\nprint(tqdm)"),
        nb("def f(a):\n    return a\n---\ndef f(a):\n    return a + 1\nprint(f(1))"),
        nb("from rich import print\nprint(1)"),
        nb("from IPython.display import display\ndf = 1\ndf = 2\ndisplay(df)"),
    ],
    "MLN-N011": [
        nb(f"{PD}\na = pd.read_csv('x.csv')\nb = pd.read_csv('y.csv')\nprint(a, b)"),
        nb(f"{PD}\np = 'x.csv'\na = pd.read_csv(p)\nb = pd.read_csv(p)\nprint(a, b)"),
        nb(f"{PD}\na = pd.read_csv('train/data.csv')\nb = pd.read_csv('test/data.csv')\nprint(a, b)"),
        nb(f"{PD}\na = pd.read_csv('x.csv')\na.to_csv('x.csv')\nb = pd.read_csv('x.csv')\nprint(b)"),
        nb("with open('x.txt', 'w') as f:\n    f.write('a')\nprint(open('x.txt').read())\nprint(open('x.txt').read())"),
        nb(f"{PD}\nfor n in ['a', 'b']:\n    print(pd.read_csv(f'{{n}}.csv'))"),
        nb(f"{PD}\na = pd.read_csv('x.csv')\nprint(a)"),
        nb(
            f"{PD}\na = pd.read_csv('https://example.org/a/data.csv')\nb = pd.read_csv('https://example.org/b/data.csv')\nprint(a, b)"
        ),
        nb(f"{PD}\na = pd.read_csv('data.csv')\nb = pd.read_csv('old/data.csv')\nprint(a, b)"),
        nb("x = 'x.csv'\ny = 'x.csv'\nprint(x, y)"),
    ],
    "MLN-N012": [
        nb(f"{PLT}\nplt.figure()\nplt.plot([1, 2])\nplt.show()"),
        nb(f"{PLT}\nfig, ax = plt.subplots()\nax.scatter([1], [2])"),
        nb(f"{PLT}\nfig, ax = plt.subplots()\n---\nax.plot([1])"),
        nb(f"{PLT}\nfig, ax = plt.subplots()\ndf.plot(ax=ax)"),
        nb(f"{PLT}\nimport seaborn as sns\nplt.figure()\nsns.histplot([1, 2])"),
        nb(f"{PLT}\nplt.figure()\ndraw_all(data)"),
        nb(f"{PLT}\nplt.figure()\ndf.a.plot()\nplt.title('x')"),
        nb(f"{PLT}\nplt.plot([1])\nplt.title('x')"),
        nb(f"{PLT}\ndef show(x):\n    plt.figure()\n    plt.plot(x)\nshow([1])"),
        nb("print(1)", outputs={1: shown("<Figure size 640x480 with 1 Axes>")}),
        nb(f"{PLT}\nplt.figure()\nplt.imshow([[1]])\nplt.axis('off')"),
        nb(f"{PLT}\nfig, axes = plt.subplots(1, 2)\nfor a in axes:\n    a.hist([1])"),
    ],
    "MLN-N013": [
        nb("print(1)"),
        nb("1 / 0", outputs={1: error("ZeroDivisionError", "x")}, tags={1: ["raises-exception"]}),
        nb("try:\n    raise ValueError\nexcept ValueError:\n    print('caught')"),
        nb("def f():\n    raise NotImplementedError\nprint(f)"),
        nb("assert 1 + 1 == 2"),
        nb("if False:\n    raise SystemExit"),
        nb("print('error: x')", outputs={1: stream("error: x\n")}),
        nb(
            "import warnings\nwarnings.warn('x')",
            outputs={1: [{"output_type": "stream", "name": "stderr", "text": "w"}]},
        ),
        nb("def exit_code():\n    return 0\nprint(exit_code())"),
        nb("# raise ValueError\nprint(1)"),
    ],
    "MLN-N014": [
        nb("x = 1"),
        nb("%matplotlib inline\nx = 1"),
        nb("!ls\nx = 1"),
        nb("%%bash\nfor f in *; do echo $f; done"),
        nb("?print\nlen?"),
        nb("async def f():\n    return 1\nawait f()"),
        nb("%%html\n<b>x</b>"),
        nb("x = !ls\nfor i in x:\n    !echo {i}"),
        nb(""),
        nb("text = ('%s'\n  % 3)\n%time y = 2"),
        nb("%%writefile x.yaml\na: [1"),
        nb("    x = 1\n    y = 2"),
    ],
    "MLN-N015": [
        nb("%%time\nx = 1"),
        nb("%%capture\nprint(1)"),
        nb("%%html\n<b>x</b>"),
        nb("%%markdown\n# x"),
        nb("!head data.csv"),
        nb("!ls -l"),
        nb("%matplotlib inline\n%load_ext autoreload\n%autoreload 2"),
        nb("%timeit 1 + 1"),
        nb("%%writefile x.txt\nhello"),
        nb("print('%%bash')"),
        nb("!nvidia-smi"),
    ],
    "MLN-N016": [
        nb("import os, sys, json\nprint(os, sys, json)"),
        nb("print(1)"),
        nb("from __future__ import annotations\nprint(1)"),
        nb("from pathlib import Path\nprint(Path())"),
        nb("from collections import Counter\nprint(Counter())"),
        nb("import xml.etree.ElementTree as ET\nprint(ET)"),
        nb("import pinned_one\nprint(pinned_one)"),
        nb("from pinned_two.sub import x\nprint(x)"),
        nb("import beside\nprint(beside)"),
        nb("from . import local\nprint(local)"),
    ],
    "MLN-N017": [
        nb("def f(a=None):\n    return a\nprint(f())"),
        nb("def f(a=()):\n    return a\nprint(f())"),
        nb("def f(a=1, b='x'):\n    return a\nprint(f())"),
        nb("def f(a=frozenset()):\n    return a\nprint(f())"),
        nb("f = lambda a=1: a\nprint(f())"),
        nb("a = []\nprint(a)"),
        nb("def f(a):\n    b = []\n    return b\nprint(f(1))"),
        nb(
            "from dataclasses import dataclass, field\n@dataclass\nclass A:\n    x: list = field(default_factory=list)\nprint(A())"
        ),
        nb("f = dict(a=[])\nprint(f)"),
        nb("def f(a=len('x')):\n    return a\nprint(f())"),
    ],
    "MLN-N018": [
        nb("try:\n    x = 1\nexcept ValueError:\n    pass"),
        nb("try:\n    x = 1\nexcept Exception as e:\n    print(e)"),
        nb("try:\n    import cudf\nexcept ImportError:\n    pass"),
        nb("try:\n    x = 1\nexcept (KeyError, ValueError):\n    pass"),
        nb("try:\n    x = 1\nexcept:\n    raise"),
        nb("import contextlib\nwith contextlib.suppress(KeyError):\n    x = 1"),
        nb("try:\n    x = 1\nexcept Exception:\n    x = None\nprint(x)"),
        nb("try:\n    x = 1\nfinally:\n    print(1)"),
        nb("for i in []:\n    pass"),
        nb("def f():\n    try:\n        return 1\n    except Exception:\n        return None\nprint(f())"),
    ],
}
