"""Penstock: an OpenAI-compatible gateway for Workers AI and self-hosted servers. The map of the house.

A request's way: `app` has the table of endpoints; `api/raw` is the adapter under each of them, on the
messages of `api/wire`; `pipeline` tells the story of an exchange; `dispatch` drives the backend's calls
and `relay` carries the answer to the client. What the words mean is translated in the package
`translators`, which does no I/O; everything that does is here.

Rooms from the top down; each imports only from lines below its own:

    cli             the penstock command, and the server's process
    app             builds the application, one table of endpoints
    api/            raw (the adapter), wire (ASGI in and out), conversations, models, own_key, operations,
                    nowhere, overloaded, admin/ (the operators' API)
    pipeline        the story of one exchange, stage by stage
    dispatch/ relay the backends' calls, with failover; the client's answer, with honest endings
    translation balance/
                    a request translated for its target, and the same explained; which target is asked next
    admission/      lets a request in, against all of its limits at once, decided by the scripts in lua/
    gauges          how things stand, for the metrics
    keys/ limits estimates origin cors suspects routing/ health/ deadlines overload
    upstream store metrics/ logs catalogue memory
    pool tallies credentials
                    the connections to one backend; counts of what was done; what backends gave us
    connection exchange settings
    errors outbox quota

    simulator/      a Workers AI account on this machine; knows nothing of the rest
"""
