"""A district written by hand, in which there is all that a provider may not be able to tell."""

import csv
import json
from pathlib import Path
from typing import Final

from tests.fakes.district import clever_id

_BASE: Final = "sourcedId,status,dateLastModified"
_FILES: Final = {
    "orgs": f"""\
{_BASE},name,type,identifier,parentSourcedId
D1,,,Étoile Unified,district,100,
P1,,,Regional Office,department,,D1
S1,,,École Élémentaire,school,101,D1
S2,,,South Middle,school,102,D1
S3,,,South Annex,school,,S2
S4,,,Évening School,school,104,D1
""",
    "academicSessions": f"""\
{_BASE},title,type,startDate,endDate,parentSourcedId,schoolYear
Y1,,,2026-2027,schoolYear,2026-08-17,2027-06-05,,2027
T1,,,Fall,term,2026-08-17,2027-01-02,Y1,2027
T2,,,Spring,semester,2027-01-04,2027-06-05,Y1,2027
Q1,,,First quarter,gradingPeriod,2026-08-17,2026-10-24,T1,2027
""",
    "courses": f"""\
{_BASE},schoolYearSourcedId,title,courseCode,grades,orgSourcedId,subjects,subjectCodes
C1,,,Y1,Keyboarding,KEY,"06,07",D1,"Typing, Computing",
C2,,,,日本語 1,,,,,
C3,,,,Reading,READ,,,English,
C4,,,,Studio Art,ART,,,,
""",
    "classes": f"""\
{_BASE},title,grades,courseSourcedId,classCode,classType,location,schoolSourcedId,termSourcedIds,subjects,subjectCodes,periods
K1,,,Keyboarding 1,"06,07",C1,KEY-1,scheduled,Room 1,S1,"T1,T2","Typing, Mathematics",,"3,4"
K2,,,Nobody here yet,,C1,,scheduled,,S2,T1,,,
K3,,,日本語: Añejo,08,C2,JA-1,scheduled,,S2,T2,Japanese,,2
K4,,,Homeroom 6B,06,C2,,homeroom,,S1,,Homeroom,,
K5,,,Studio,,C1,ST,scheduled,,S3,T1,,,
""",
    "users": f"""\
{_BASE},enabledUser,username,userIds,givenName,familyName,middleName,identifier,email,sms,phone,agentSourcedIds,grades,password,userMasterIdentifier,preferredGivenName,preferredMiddleName,preferredFamilyName,primaryOrgSourcedId,pronouns,metadata.typing
U1,,,true,ann,"{{Fed:U1}},{{StateID:77}}",Ann,Archer,M,7001,Ann@Example.org,,,G1,06,,,Annie,,Bowman,S1,she/her,Yes
U2,,,false,ben,,Ben,Barker,,7002,,,,,"07,08",,,,,,S2,,no
U3,,,true,çağla,,Çağla,Öztürk-O'Brien,,T9,cagla@example.org,,,,,,,,,,S1,,
U4,,,true,nguyen,,Nguyễn Thị,山田,,,nguyen@example.org,,,,,,,,,,S2,,
U5,,,true,eli,,Eli,Evans,,A5,eli@example.org,,,,,,,,,,S2,,
U6,,,true,flo,,Flo,Fisher,,,,,,,,,,,,,S1,,
U7,,,true,gil,,Gil,Garcia,,,,,,,,,,,,,S2,,
U8,,,true,dora,,Dora,Dean,,A8,dora@example.org,,,,,,,,,,D1,,
U9,,,true,hal,,Hal,Hill,,H9,hal@example.org,,,,,,,,,,S1,,
U10,,,true,ida,,Ida,Ito,,7010,,,,,06,,,,,,S1,,yes
U11,,,true,jo,,Jo,Jansen,,7011,,,,,KG,,,,,,S3,,YES
U12,,,true,kim,,Kim,Kowalski,,7012,,,,,06,,,,,,,,
G1,,,true,gus,,Gus,Archer,,,gus@example.org,,555-1,U1,,,,,,,S1,,
""",
    "roles": f"""\
{_BASE},userSourcedId,roleType,role,beginDate,endDate,orgSourcedId,userProfileSourcedId
R1,,,U1,primary,student,,,S1,
R2,,,U2,primary,student,,,S2,
R3,,,U3,primary,teacher,,,S1,
R4,,,U3,secondary,teacher,,,S2,
R5,,,U3,secondary,teacher,,,S3,
R6,,,U4,primary,teacher,,,S2,
R7,,,U5,primary,principal,,,S2,
R8,,,U6,primary,aide,,,S1,
R9,,,U7,primary,counselor,,,S2,
R10,,,U8,primary,districtAdministrator,,,D1,
R11,,,U9,primary,teacher,,,S1,
R12,,,U9,secondary,principal,,,S1,
R13,,,U10,primary,student,,,S1,
R14,,,U10,secondary,student,,,S2,
R15,,,U11,primary,student,,,S3,
R16,,,U12,primary,student,,,D1,
R17,,,G1,primary,guardian,,,S1,
""",
    "enrollments": f"""\
{_BASE},classSourcedId,schoolSourcedId,userSourcedId,role,primary,beginDate,endDate
E1,,,K1,S1,U1,student,false,2026-08-17,2027-01-02
E2,,,K1,S1,U1,student,false,2027-01-04,2027-06-05
E3,,,K1,S1,U10,student,,,
E4,,,K1,S1,U3,teacher,true,,
E5,,,K1,S1,U9,teacher,false,,
E6,,,K1,S1,U6,aide,false,,
E7,,,K2,S2,U4,teacher,true,,
E8,,,K3,S2,U2,student,,,2027-06-05
E9,,,K3,S2,U4,teacher,false,,
E10,,,K3,S2,U3,teacher,false,,
E11,,,K4,S1,U1,student,,,
E12,,,K4,S1,U12,student,,,
E13,,,K4,S1,U3,teacher,true,,
E14,,,K5,S3,U11,student,,,
E15,,,K5,S3,U3,teacher,true,,
E16,,,K5,S3,U5,administrator,false,,
E17,,,K3,S2,U404,student,,,
""",
}
ELIGIBLE_FIELD: Final = "typing"
ELIGIBLE_VALUES: Final = ("yes",)


def write_rich_district(folder: Path) -> Path:
    """As OneRoster 1.2, with a side file for what only Clever tells."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in _FILES.items():
        rows = list(csv.reader(text.splitlines()))
        assert {len(row) for row in rows} == {len(rows[0])}, f"a row of {name} is not as wide"
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    properties = {"manifest.version": "1.0", "oneroster.version": "1.2"}
    properties |= {f"file.{name}": "bulk" for name in _FILES}
    lines = [f"{name},{value}" for name, value in {"propertyName": "value", **properties}.items()]
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "clever.json").write_text(json.dumps(_told_by_clever()), encoding="utf-8")
    return folder


def _told_by_clever() -> dict[str, object]:
    """Who teaches and leads holds both roles there too."""
    school = clever_id("school", "S1")
    credentials = {"district_username": "hal"}
    teacher = {
        "sis_id": "U9",
        "teacher_number": "H9",
        "school": school,
        "schools": [school],
        "credentials": credentials,
    }
    staff = {"schools": [school], "staff_id": "H9", "credentials": credentials}
    return {
        "users": [{"id": clever_id("user", "U9"), "roles": {"teacher": teacher, "staff": staff}}]
    }
