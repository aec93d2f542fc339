"""A small district written by hand, with the rows that real districts get wrong."""

from pathlib import Path
from typing import Final

FILES: Final = {
    "orgs": """\
sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId,metadata.region
D1,,,Small Unified,district,100,,
S1,,,First School,school,101,D1,north
S2,,,Second School,school,102,D1,
P1,,,Transport,department,,D1,
""",
    "academicSessions": """\
sourcedId,status,dateLastModified,title,type,startDate,endDate,parentSourcedId,schoolYear
Y1,,,2026-2027,schoolYear,2026-08-17,2027-06-01,,2027
T1,,,Fall,term,2026-08-17,2027-01-01,Y1,2027
T2,,,Spring,term,2027-01-01,2027-06-01,Y1,2027
""",
    "courses": """\
sourcedId,status,dateLastModified,schoolYearSourcedId,title,courseCode,grades,orgSourcedId,subjects,subjectCodes
C1,,,Y1,Keyboarding,KEY,"06,07",D1,Typing and Computing,
C2,,,,Reading,,,,,
""",
    "classes": """\
sourcedId,status,dateLastModified,title,grades,courseSourcedId,classCode,classType,location,schoolSourcedId,termSourcedIds,subjects,subjectCodes,periods
K1,,,Keyboarding 1,"06,07",C1,KEY-1,scheduled,Room 1,S1,"T1,T2",Mathematics,,"3,4"
K2,,,Nobody here,,C2,,homeroom,,S2,,,,
""",
    "users": """\
sourcedId,status,dateLastModified,enabledUser,orgSourcedIds,role,username,userIds,givenName,familyName,middleName,identifier,email,sms,phone,agentSourcedIds,grades,password,metadata.typing
U1,,2026-09-01T10:00:00.000Z,true,"S1,S2",student,ann,{Fed:U1},Ann,Archer,M,7001,ann@example.org,,,G1,06,,yes
U2,,,false,S1,student,ben,,Ben,Barker,,7002,,,,,KG,,no
U3,,,true,S1,teacher,cleo,"{Fed:U3},{SIS:9}",Cleo,Carter,,T9,cleo@example.org,,,,,,
U4,,,true,D1,administrator,dora,,Dora,Dean,,,dora@example.org,,,,,,
U5,,,true,S2,administrator,eli,,Eli,Evans,,,,,,,,,
U6,,,true,S1,aide,flo,,Flo,Fisher,,,,,,,,,
G1,,,true,S1,guardian,gus,,Gus,Archer,,,gus@example.org,,555-1,,,,
U7,tobedeleted,2026-09-02T10:00:00.000Z,true,S1,student,hal,,Hal,Hill,,,,,,,05,,
U8,,,true,S1,wizard,ivy,,Ivy,Irwin,,,,,,,,,
,,,true,S1,student,jo,,Jo,Jones,,,,,,,,,
U9,,,true,S1,student,kim,,,,,,,,,,03,,
U2,,,false,S1,student,ben2,,Ben,Barker,,7002,,,,,KG,,no
""",
    "enrollments": """\
sourcedId,status,dateLastModified,classSourcedId,schoolSourcedId,userSourcedId,role,primary,beginDate,endDate
E1,,,K1,S1,U1,student,false,2026-08-17,2027-06-01
E2,,,K1,S1,U2,student,,,
E3,,,K1,S1,U3,teacher,true,,
E4,,,K1,S1,U6,aide,false,,
E5,,,K1,S1,U404,student,,,
E6,,,K1,S1,U1,student,false,2027-01-04,
E7,,,K2,S2,U3,teacher,true,,
""",
}


def write_sample(folder: Path, **changed: str) -> Path:
    """The files of OneRoster 1.1; a file may be given instead of the one here."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {**FILES, **changed}.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


ROLES_1_2: Final = """\
sourcedId,status,dateLastModified,userSourcedId,roleType,role,beginDate,endDate,orgSourcedId,userProfileSourcedId
R1,,,U1,primary,student,,,S1,
R2,,,U1,secondary,student,2026-08-17,,S2,
R3,,,U3,primary,principal,,,S1,
"""
USERS_1_2: Final = """\
sourcedId,status,dateLastModified,enabledUser,username,userIds,givenName,familyName,middleName,identifier,email,sms,phone,agentSourcedIds,grades,password,userMasterIdentifier,preferredGivenName,preferredMiddleName,preferredFamilyName,primaryOrgSourcedId,pronouns
U1,,,true,ann,,Ann,Archer,,7001,,,,,06,,,Annie,,Bowman,S1,
U3,,,true,cleo,,Cleo,Carter,,T9,,,,,,,,,,,S1,she/her
"""


def write_sample_1_2(folder: Path) -> Path:
    """The same in OneRoster 1.2, with two of the people."""
    return write_sample(folder, users=USERS_1_2, roles=ROLES_1_2)
