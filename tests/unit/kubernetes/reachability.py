"""Who may open a connection to whom, by the NetworkPolicies: as Kubernetes judges them, for the words that we use."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any, Final

from tests.unit.kubernetes.rendering import Manifest

NAMESPACE_NAME: Final = "kubernetes.io/metadata.name"


@dataclass(frozen=True)
class Party:
    """A pod, or an address outside of the cluster (then without labels)."""

    name: str
    labels: Mapping[str, str]
    namespace: Mapping[str, str]
    """Labels of its namespace."""
    ports: Mapping[str, int]
    """Those it listens on, by name."""
    address: str | None = None


def may_connect(source: Party, target: Party, port: int, policies: Iterable[Manifest], namespace: Mapping[str, str]) -> bool:
    """Say whether the egress of one and the ingress of the other allow it. The policies are those of one namespace."""
    ours = list(policies)
    return _allowed("Egress", source, target, target, port, ours, namespace) and _allowed(
        "Ingress", target, source, target, port, ours, namespace
    )


def _allowed(
    way: str, judged: Party, other: Party, target: Party, port: int, policies: Sequence[Manifest], namespace: Mapping[str, str]
) -> bool:
    """A pod that no policy selects for this direction is free; else one of them has to allow it."""
    if judged.namespace != namespace:
        return True
    selecting = [
        one["spec"]
        for one in policies
        if way in one["spec"]["policyTypes"] and _selects(one["spec"]["podSelector"], judged.labels)
    ]
    peers = "to" if way == "Egress" else "from"
    rules = [rule for spec in selecting for rule in spec.get(way.lower(), ())]
    return not selecting or any(
        (peers not in rule or any(_is(peer, other, namespace) for peer in rule[peers])) and _on(rule, target, port)
        for rule in rules
    )


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    wanted = selector.get("matchLabels", {}).items() <= labels.items()
    return wanted and all(
        each["operator"] == "In" and labels.get(each["key"]) in each["values"] for each in selector.get("matchExpressions", ())
    )


def _is(peer: Mapping[str, Any], party: Party, namespace: Mapping[str, str]) -> bool:
    if block := peer.get("ipBlock"):
        if party.address is None:
            return False
        address = ip_address(party.address)
        inside = [address in ip_network(each) for each in (block["cidr"], *block.get("except", ()))]
        return inside[0] and not any(inside[1:])
    if party.address is not None:
        return False
    there = _selects(peer["namespaceSelector"], party.namespace) if "namespaceSelector" in peer else party.namespace == namespace
    return there and _selects(peer.get("podSelector", {}), party.labels)


def _on(rule: Mapping[str, Any], target: Party, port: int) -> bool:
    if "ports" not in rule:
        return True
    return port in {
        target.ports.get(each["port"], 0) if isinstance(each["port"], str) else each["port"] for each in rule["ports"]
    }
