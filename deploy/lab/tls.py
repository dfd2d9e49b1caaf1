"""The lab's own certificate authority and one server certificate for all of its addresses."""

import os

CONFIG = """[req]
distinguished_name = name
prompt = no
[name]
CN = {common_name}
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
[server]
basicConstraints = CA:false
extendedKeyUsage = serverAuth
subjectAltName = {names}
"""


def make_certificates(settings, processes):
    """ROOT/tls/ca.crt, server.crt and server.key: valid for every node, localhost and the proxy."""
    home = settings.path("tls")
    processes.make_dir(home, 0o755)
    addresses = [settings.address(node) for node in settings.node_names()] + [settings.proxy_host, "127.0.0.1"]
    names = ", ".join(["DNS:localhost"] + [f"IP:{address}" for address in dict.fromkeys(addresses)])

    def openssl(*words):
        processes.run(["/usr/bin/openssl", *words], home)

    def config(name, common_name):
        processes.write(os.path.join(home, name), CONFIG.format(common_name=common_name, names=names))

    config("ca.cnf", "pgsteer lab authority")
    config("server.cnf", "pgsteer lab node")
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *new_key, "-days", "30", "-config", "ca.cnf", "-extensions", "authority",
            "-keyout", "ca.key", "-out", "ca.crt")
    openssl("req", "-new", *new_key, "-config", "server.cnf", "-keyout", "server.key", "-out", "server.csr")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "30", "-extfile", "server.cnf", "-extensions", "server", "-out", "server.crt")
    os.chmod(os.path.join(home, "server.key"), 0o600)
    os.chmod(os.path.join(home, "ca.crt"), 0o644)
