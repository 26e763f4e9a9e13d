# SPDX-License-Identifier: MIT
"""The servers that are compared: where they are found, how they are started.

A setup is what a case wants of a server: {"app": "basic"}, {"app": "routes",
"routes": 1000} or, of Dewar alone, {"app": "hooks", "hooks": "3,3,1,plain"},
{"app": "tasks"} and {"app": "news"}. Every server has one worker and no access log.
"""
import os
import shutil
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BENCH = os.path.join(ROOT, "bench")
CONNECTIONS = 16384
NGINX_MODULES = "/usr/lib/nginx/modules"


class Tools:
    """Where things are built and written."""

    def __init__(self, work, tree):
        self.work, self.tree = work, tree
        for folder in ("", "logs", "nginx", "node"):
            os.makedirs(os.path.join(work, folder), exist_ok=True)

    def built(self, *path):
        return os.path.join(self.tree, *path)

    def log(self, name):
        return os.path.join(self.work, "logs", name.replace("/", "-") + ".log")


class Server:
    """One way to answer. apps: the setups it has."""
    apps = ("basic",)
    constant = False  # answers everything alike

    def __init__(self, name):
        self.name = name

    def missing(self, tools):
        """Why it can't take part, or None."""
        raise NotImplementedError

    def command(self, tools, port, setup):
        """Its arguments, and what is added to its environment."""
        raise NotImplementedError


def lacks(program, package=None):
    if shutil.which(program):
        return None
    where = f" (Debian: {package})" if package else ""
    return f"{program} is not installed{where}"


class Floor(Server):
    apps = ("basic", "routes", "hooks", "tasks")
    constant = True

    def __init__(self, name, *arguments):
        super().__init__(name)
        self.arguments = list(arguments)

    def missing(self, tools):
        exists = os.path.exists(tools.built("bench", "floor"))
        return None if exists else "bench/floor has not been built"

    def command(self, tools, port, setup):
        floor = tools.built("bench", "floor")
        return [floor, str(port)] + self.arguments, {}


class Dewar(Server):
    apps = ("basic", "routes", "hooks", "tasks", "news")

    def missing(self, tools):
        exists = os.path.exists(tools.built("bin", "dewar"))
        return None if exists else "bin/dewar has not been built"

    def command(self, tools, port, setup):
        app = os.path.join(BENCH, "apps", setup["app"] + ".lua")
        env = {"BENCH_ROUTES": str(setup.get("routes", 0)),
               "BENCH_HOOKS": setup.get("hooks", "0,0,0,plain")}
        return [tools.built("bin", "dewar"), "run", app, "--port", str(port),
                "--log-level", "warn"], env


class Nginx(Server):
    """A configuration is written for each start, from a template."""

    def __init__(self, name, template, lua):
        super().__init__(name)
        self.template, self.lua = template, lua
        if lua:
            self.apps = ("basic", "routes")

    def missing(self, tools):
        lack = lacks("nginx", "nginx-light")
        if lack or not self.lua:
            return lack
        if not os.path.exists(f"{NGINX_MODULES}/ngx_http_lua_module.so"):
            return "its Lua module is missing (libnginx-mod-http-lua)"
        found = subprocess.run(
            ["sh", "-c", "ls /usr/lib/*/lua/5.1/cjson.so"],
            capture_output=True).returncode == 0
        return None if found else "lua-cjson is not installed"

    def command(self, tools, port, setup):
        with open(os.path.join(BENCH, "peers", self.template)) as file:
            text = file.read()
        values = {"PORT": port, "MODULES": NGINX_MODULES, "NAME": self.name,
                  "CONNECTIONS": CONNECTIONS, "PEERS": f"{BENCH}/peers",
                  "ROUTES": "".join(self.route(i) for i in
                                    range(1, setup.get("routes", 0) + 1))}
        for key, value in values.items():
            text = text.replace(f"@{key}@", str(value))
        folder = os.path.join(tools.work, "nginx")
        path = os.path.join(folder, f"{self.name}-{port}.conf")
        with open(path, "w") as file:
            file.write(text)
        return ["nginx", "-p", folder, "-c", path, "-e", "stderr"], {}

    @staticmethod
    def route(number):
        return (f"    location /r{number}/ {{\n"
                "      content_by_lua_block { route() }\n    }\n")


class Node(Server):
    def __init__(self, name, script, module=None):
        super().__init__(name)
        self.script, self.module = script, module
        if module:
            self.apps = ("basic", "routes")

    def missing(self, tools):
        lack = lacks("node", "nodejs")
        if lack or not self.module:
            return lack
        modules = os.path.join(tools.work, "node", "node_modules")
        if not os.path.isdir(os.path.join(modules, self.module)):
            return f"npm could not install {self.module}"
        return None

    def command(self, tools, port, setup):
        script = os.path.join(BENCH, "peers", self.script)
        modules = os.path.join(tools.work, "node", "node_modules")
        env = {"NODE_PATH": modules, "NODE_ENV": "production",
               "BENCH_ROUTES": str(setup.get("routes", 0))}
        return ["node", script, str(port)], env


class Python(Server):
    """An app in bench/peers behind a server of Debian's."""
    apps = ("basic", "routes")

    def __init__(self, name, program, module, packages, arguments):
        super().__init__(name)
        self.program, self.module = program, module
        self.packages, self.arguments = packages, arguments

    def missing(self, tools):
        if lacks(f"/usr/bin/{self.program}"):
            return f"{self.program} is not installed (Debian: {self.packages})"
        found = subprocess.run(["/usr/bin/python3", "-c",
                                f"import {self.module}"],
                               capture_output=True).returncode == 0
        if found:
            return None
        return f"{self.module} is not installed (Debian: {self.packages})"

    def command(self, tools, port, setup):
        arguments = [word.replace("PORT", str(port))
                     for word in self.arguments]
        env = {"PYTHONPATH": os.path.join(BENCH, "peers"),
               "PYTHONDONTWRITEBYTECODE": "1",
               "BENCH_ROUTES": str(setup.get("routes", 0))}
        return [f"/usr/bin/{self.program}"] + arguments, env


class Lwan(Server):
    """Debian has no package: the variable LWAN may name the executable."""
    program = os.environ.get("LWAN", "lwan")

    def missing(self, tools):
        if lacks(self.program):
            return "lwan is not installed (no package; LWAN may name one)"
        return None

    def command(self, tools, port, setup):
        with open(os.path.join(BENCH, "peers", "lwan.conf")) as file:
            text = file.read().replace("@PORT@", str(port))
        path = os.path.join(tools.work, f"lwan-{port}.conf")
        with open(path, "w") as file:
            file.write(text)
        return [self.program, "-c", path], {}


ALL = [
    Floor("floor"),
    Floor("floor+lua", "lua"),
    Dewar("dewar"),
    Lwan("lwan"),
    Nginx("nginx", "nginx.conf", False),
    Nginx("nginx-lua", "nginx_lua.conf", True),
    Node("node", "node_http.js"),
    Node("fastify", "node_fastify.js", "fastify"),
    Python("flask", "gunicorn", "flask", "python3-flask, gunicorn",
           ["--bind", "127.0.0.1:PORT", "--workers", "1", "--keep-alive", "75",
            "--worker-class", "gthread", "--threads", "8", "flask_app:app"]),
    Python("quart", "uvicorn", "quart", "python3-quart, uvicorn",
           ["--host", "127.0.0.1", "--port", "PORT", "--workers", "1",
            "--no-access-log", "--log-level", "warning", "quart_app:app"]),
]
BY_NAME = {server.name: server for server in ALL}


def install_node_modules(tools):
    """npm install into the build folder, once; failing is not fatal."""
    folder = os.path.join(tools.work, "node")
    shutil.copy(os.path.join(BENCH, "package.json"), folder)
    if os.path.isdir(os.path.join(folder, "node_modules", "fastify")):
        return
    if not shutil.which("npm"):
        return
    with open(tools.log("npm"), "wb") as log:
        subprocess.run(["npm", "install", "--no-audit", "--no-fund"],
                       cwd=folder, stdout=log, stderr=log, timeout=300)
