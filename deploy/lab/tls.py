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


NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def make_certificates(settings, processes):
    """ROOT/tls/ca.crt, server.crt and server.key: valid for every node, localhost and the proxy."""
    home = settings.path("tls")
    processes.make_dir(home, 0o755)
    processes.write(os.path.join(home, "ca.cnf"),
                    CONFIG.format(common_name="pgsteer lab authority", names="DNS:localhost"))
    processes.run(["/usr/bin/openssl", "req", "-x509", *NEW_KEY, "-days", "30", "-config", "ca.cnf",
                   "-extensions", "authority", "-keyout", "ca.key", "-out", "ca.crt"], home)
    os.chmod(os.path.join(home, "ca.crt"), 0o644)
    addresses = [settings.address(node) for node in settings.node_names()] + [settings.proxy_host, "127.0.0.1"]
    make_server_certificate(settings, processes, "server", "pgsteer lab node", addresses)


def make_server_certificate(settings, processes, name, common_name, addresses):
    """ROOT/tls/NAME.crt and NAME.key, signed by the lab's authority: valid for localhost and the addresses."""
    home = settings.path("tls")
    names = ", ".join(["DNS:localhost"] + [f"IP:{address}" for address in dict.fromkeys(addresses)])
    processes.write(os.path.join(home, f"{name}.cnf"), CONFIG.format(common_name=common_name, names=names))
    for words in (["req", "-new", *NEW_KEY, "-config", f"{name}.cnf", "-keyout", f"{name}.key", "-out", f"{name}.csr"],
                  ["x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
                   "-days", "30", "-extfile", f"{name}.cnf", "-extensions", "server", "-out", f"{name}.crt"]):
        processes.run(["/usr/bin/openssl", *words], home)
    os.chmod(os.path.join(home, f"{name}.key"), 0o600)
