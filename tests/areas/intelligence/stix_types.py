"""An object of each type of STIX 2.1, with most of what it may say; our own words, by the property tables."""

from typing import Any

from stix_objects import identifier

from entente.areas.intelligence import schema

WHEN = "2026-01-02T03:04:05.000Z"
LATER = "2026-02-02T03:04:05.000Z"
VERSIONED = {"spec_version": "2.1", "created": WHEN, "modified": WHEN}
EXT = identifier("extension-definition")
SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
HASHES = {
    "MD5": SHA256[:32], "SHA-1": SHA256[:40], "SHA-256": SHA256, "SHA-512": 2 * SHA256, "SHA3-256": SHA256,
    "SHA3-512": 2 * SHA256, "SSDEEP": "96:s4Ud1Lj96tHHlZDrwciQmA+4uy1I0G4HYuL8N3TzS8:sF1LjEtHHlZDrJ",
    "TLSH": "T1" + "6F" * 35, "my-hash": "any",
}  # fmt: skip
PHASES = [{"kill_chain_name": "a-chain", "phase_name": "deliver"}]

DOMAIN: dict[str, dict[str, Any]] = {
    "attack-pattern": {"name": "n", "aliases": ["a"], "kill_chain_phases": PHASES},
    "campaign": {"name": "n", "objective": "o", "first_seen": WHEN, "last_seen": WHEN},
    "course-of-action": {"name": "n", "description": "d"},
    "grouping": {"context": "suspicious-activity", "object_refs": [identifier("malware")]},
    "identity": {"name": "n", "identity_class": "organization", "sectors": ["defence"], "contact_information": "c"},
    "incident": {"name": "n", "extensions": {EXT: {"extension_type": "property-extension", "impact": 7}}},
    "indicator": {"pattern": "[a:b = 'c']", "pattern_type": "stix", "valid_from": WHEN, "valid_until": LATER},
    "infrastructure": {"name": "n", "infrastructure_types": ["botnet"], "kill_chain_phases": PHASES},
    "intrusion-set": {"name": "n", "goals": ["g"], "resource_level": "team", "primary_motivation": "ideology"},
    "location": {"latitude": 28.6, "longitude": 77.2, "precision": 10.5, "region": "southern-asia", "country": "IN"},
    "malware": {"is_family": True, "name": "n", "sample_refs": [identifier("file")]},
    "malware-analysis": {"product": "anonymized", "result": "benign", "sample_ref": identifier("file")},
    "note": {"content": "c", "authors": ["a"], "object_refs": [identifier("campaign")]},
    "observed-data": {
        "first_observed": WHEN, "last_observed": LATER, "number_observed": 7,
        "object_refs": [identifier("file"), identifier("relationship")],
    },
    "opinion": {"opinion": "strongly-agree", "object_refs": [identifier("campaign")]},
    "report": {"name": "n", "published": WHEN, "object_refs": [identifier("campaign")]},
    "threat-actor": {"name": "n", "roles": ["agent"], "sophistication": "expert", "personal_motivations": ["revenge"]},
    "tool": {"name": "n", "tool_version": "1"},
    "vulnerability": {"name": "n", "external_references": [{"source_name": "cve", "external_id": "CVE-2026-1234"}]},
    "relationship": {
        "relationship_type": "uses", "source_ref": identifier("campaign"), "target_ref": identifier("url"),
        "start_time": WHEN, "stop_time": LATER,
    },
    "sighting": {
        "sighting_of_ref": identifier("indicator"), "count": 0, "summary": False, "first_seen": WHEN,
        "observed_data_refs": [identifier("observed-data")], "where_sighted_refs": [identifier("location")],
    },
    "language-content": {
        "object_ref": identifier("campaign"), "object_modified": WHEN,
        "contents": {"ko": {"name": "이름", "aliases": ["", "별명"]}, "hi-Deva-IN": {"name": "नाम"}},
    },
    "extension-definition": {
        "name": "n", "schema": "https://example.org/s", "version": "1.0.0", "created_by_ref": identifier("identity"),
        "extension_types": ["new-sdo", "toplevel-property-extension"], "extension_properties": ["rank_of_it"],
    },
}  # fmt: skip

OBSERVABLE: dict[str, dict[str, Any]] = {
    "artifact": {"url": "https://example.org/a", "hashes": HASHES, "encryption_algorithm": "mime-type-indicated"},
    "autonomous-system": {"number": 64500, "rir": "APNIC"},
    "directory": {"path": "C:\\x", "path_enc": "cp1252", "contains_refs": [identifier("file")]},
    "domain-name": {"value": "xn--3e0b707e.example", "resolves_to_refs": [identifier("ipv6-addr")]},
    "email-addr": {"value": "a.b+c@example.org", "belongs_to_ref": identifier("user-account")},
    "email-message": {
        "is_multipart": True, "date": WHEN, "from_ref": identifier("email-addr"), "to_refs": [identifier("email-addr")],
        "additional_header_fields": {"X-Mailer": ["m"], "Reply-To": ["a", "b"], "Subject-Old": "s"},
        "received_lines": ["one"],
        "body_multipart": [{"body": "b", "content_type": "text/plain"}, {"body_raw_ref": identifier("artifact")}],
    },
    "file": {
        "name": "n", "name_enc": "koi8-r", "hashes": HASHES, "size": 0, "magic_number_hex": "4d5a", "ctime": WHEN,
        "parent_directory_ref": identifier("directory"), "contains_refs": [identifier("url")],
        "extensions": {
            "archive-ext": {"contains_refs": [identifier("file")]},
            "ntfs-ext": {"alternate_data_streams": [{"name": "s", "hashes": HASHES}]},
            "pdf-ext": {"document_info_dict": {"Title": "t"}, "pdfid0": "a"},
            "raster-image-ext": {"exif_tags": {"Make": "m", "XResolution": 4928}},
            "windows-pebinary-ext": {
                "pe_type": "exe", "time_date_stamp": "2026-01-02T03:04:05Z", "sections": [{"name": ".text"}],
                "optional_header": {"magic_hex": "010b", "size_of_code": 0},
            },
        },
    },
    "ipv4-addr": {"value": "203.0.113.0/24", "resolves_to_refs": [identifier("mac-addr")]},
    "ipv6-addr": {"value": "::ffff:203.0.113.9", "belongs_to_refs": [identifier("autonomous-system")]},
    "mac-addr": {"value": "00:00:ab:cd:ef:01"},
    "mutex": {"name": "n"},
    "network-traffic": {
        "src_ref": identifier("ipv4-addr"), "dst_ref": identifier("domain-name"), "protocols": ["ipv4", "tcp", "http"],
        "start": WHEN, "end": WHEN, "is_active": False, "src_port": 65535, "ipfix": {"minimumIpTotalLength": 32},
        "extensions": {
            "http-request-ext": {"request_method": "get", "request_value": "/", "request_header": {"Accept": ["*/*"]}},
            "icmp-ext": {"icmp_type_hex": "08", "icmp_code_hex": "00"},
            "socket-ext": {"address_family": "AF_INET", "options": {"SO_KEEPALIVE": 1}},
            "tcp-ext": {"src_flags_hex": "02"},
        },
    },
    "process": {
        "created_time": WHEN, "image_ref": identifier("file"), "child_refs": [identifier("process")],
        "environment_variables": {"PATH": "/bin", "MY_REF": "free"},
        "extensions": {
            "windows-process-ext": {"integrity_level": "high", "startup_info": {"cb": 68}},
            "windows-service-ext": {"service_name": "s", "service_dll_refs": [identifier("file")]},
        },
    },
    "software": {"name": "n", "languages": ["ko", "hi-IN", "eng"], "cpe": "cpe:2.3:a:vendor:product:1.0:*:*:*:*:*:*:*"},
    "url": {"value": "https://example.org/a?b=c#d"},
    "user-account": {"user_id": "7", "extensions": {"unix-account-ext": {"gid": 1001, "groups": ["wheel"]}}},
    "windows-registry-key": {
        "key": "HKEY_LOCAL_MACHINE\\Software\\HKUtils", "values": [{"name": "", "data_type": "REG_SZ"}],
    },
    "x509-certificate": {
        "hashes": HASHES, "validity_not_before": WHEN,
        "x509_v3_extensions": {"private_key_usage_period_not_before": WHEN, "key_usage": "critical"},
    },
}  # fmt: skip


def made(kind: str, fields: dict[str, Any], number: int = 1) -> dict[str, Any]:
    """An object of a type."""
    common = {} if kind in schema.observables() else VERSIONED
    return {"type": kind, "id": identifier(kind, number)} | common | fields
