"""Names of people and places, with the ASCII spelling that a username is made of."""

import unicodedata
from typing import NamedTuple


class Name(NamedTuple):
    text: str
    ascii: str


class Pool(NamedTuple):
    """Given and family names that go together, so that a script is not mixed within a person."""

    given: tuple[Name, ...]
    family: tuple[Name, ...]


class PersonName(NamedTuple):
    given: Name
    family: Name


GIVEN = """
Aaliyah, Aaron, Abigail, Adam, Adriana, Aidan, Aisha, Alejandro, Alexander, Alice, Amara, Amelia,
Ana, Andrea, Andrew, Angel, Anika, Anna, Anne-Marie, Anthony, Antonio, Aria, Arjun, Asher, Ashley,
Aubrey, Audrey, Austin, Ava, Beatriz, Benjamin, Björn, Brandon, Brianna, Brooklyn, Caleb, Cameron,
Camila, Carlos, Caroline, Carter, Celeste, Charles, Charlotte, Chloë, Christian, Claire, Cole,
Connor, Daniel, Daniela, David, Deja, DeShawn, Diego, Dominic, Dylan, D'Andre, Ebony, Eleanor,
Elena, Eli, Elijah, Elizabeth, Ella, Emiliano, Emily, Emma, Ethan, Eva, Evelyn, Ezra, Faith,
Fatima, Felix, Fernanda, François, Gabriel, Gabriela, Gavin, Genevieve, Grace, Gracie-Mae, Hailey,
Hannah, Harper, Hassan, Hazel, Henry, Hudson, Hugo, Ian, Imani, Ingrid, Isaac, Isabella, Isaiah,
Ivy, Jack, Jackson, Jada, Jaden, James, Jasmine, Jayla, Jean-Luc, Jeremiah, Jesús, Joaquín, John,
Jordan, José, Joseph, Joshua, Josiah, Juan Carlos, Julia, Julian, Kai, Karim, Katherine, Kayla,
Keisha, Kevin, Khadija, Kiara, Kwame, Kylie, Landon, Laura, Layla, Leah, Leila, Leo, Levi, Liam,
Lily, Lin, Logan, Lucas, Lucía, Luis, Lukas, Łukasz, Luna, Madison, Malik, Manuel, Marcus, María,
Mary Kate, Mason, Mateo, Matthew, Maya, Mei, Mia, Michael, Miguel, Mila, Minh, Mohammed, Naomi,
Natalia, Nathan, Nevaeh, Nia, Nicholas, Noah, Noémie, Nora, Olivia, Omar, Oscar, Owen, Paige,
Parker, Penelope, Pilar, Priya, Quinn, Rafael, Rania, Raúl, Rebecca, Ricardo, Riley, Robert, Rosa,
Ruby, Ryan, Sadie, Samantha, Samuel, Santiago, Sara, Savannah, Sean, Sebastián, Siobhán, Sofía,
Sophia, Søren, Stella, Tara, Thanh, Theodore, Thiago, Thomas, Tiana, Tyler, Uma, Valentina,
Victoria, Violet, Vivian, Wesley, William, Wyatt, Ximena, Xavier, Yara, Yasmin, Yusuf, Zachary,
Zainab, Zara, Zoë, Zuri
"""

FAMILY = """
Abdi, Acosta, Adams, Aguilar, Ahmed, Alexander, Ali, Allen, Alvarez, Anderson, Andersson, Bailey,
Baker, Banerjee, Barnes, Begay, Bell, Bennett, Black, Brooks, Brown, Bryant, Butler, Campbell,
Carter, Castillo, Castro, Chavez, Chen, Clark, Coleman, Collins, Cook, Cooper, Cox, Cruz, Dang,
Davis, D'Angelo, D'Souza, de la Cruz, de León, del Río, Delgado, Diaz, Diop, Dubois, Edwards,
Eriksen, Espinoza, Evans, Fernández, Fisher, Flores, Ford, Foster, Freeman, García, Gibson, Gómez,
González, Gordon, Graham, Grant, Gray, Green, Griffin, Grzyb, Guerrero, Gupta, Gutiérrez, Hall,
Hamilton, Hansen, Harris, Harrison, Hassan, Hayes, Henderson, Henry, Hernández, Herrera, Hill,
Hoang, Howard, Hughes, Hunter, Ibrahim, Jackson, James, Jenkins, Jiménez, Johnson, Jones, Jordan,
Joseph, Kaur, Kelly, Kennedy, Khan, Kim, King, Kowalski, Kumar, La Rosa, Lam, Le, Lee, Lewis, Li,
Long, López, Mac Donald, Marshall, Martin, Martínez, Mason, McCarthy, McDonald, Medina, Mehta,
Mendoza, Miller, Mitchell, Mohamed, Moore, Morales, Moreno, Morgan, Morris, Müller, Muñoz, Murphy,
Murray, Myers, Nelson, Nguyen, N'Diaye, Núñez, Obi, O'Brien, O'Connor, Okafor, Okonkwo, Oliveira,
O'Neill, Ortega, Ortiz, Osei, Owens, Park, Parker, Patel, Patterson, Peña, Perez, Perry, Peters,
Peterson, Petrović, Pham, Phillips, Powell, Price, Quiñones, Ramírez, Ramos, Reed, Reyes,
Reynolds, Rivera, Roberts, Robinson, Rodríguez, Rogers, Romero, Ross, Ruiz, Russell, Ryan,
Sánchez, Sanders, Sandoval, Santiago, Santos, Schmidt, Scott, Shah, Shaw, Silva, Simmons, Singh,
Smith, Soto, St. John, Stewart, Sullivan, Taylor, Thomas, Thompson, Torres, Tran, Tsosie, Tucker,
Turner, Tuttle, Valdez, van der Berg, van Dijk, Vargas, Vásquez, Vega, Wagner, Walker, Wallace,
Wang, Ward, Washington, Watson, Webb, West, White, Williams, Wilson, Wood, Wright, Wu, Yang,
Yazzie, Young, Zamora, Zhang, Živković
"""

SCRIPTS = (
    (
        "Мария=maria, Анна=anna, Дмитрий=dmitri, Олена=olena, Иван=ivan, Софія=sofia",
        "Иванова=ivanova, Шевченко=shevchenko, Коваль=koval, Петренко=petrenko, Мельник=melnyk",
    ),
    (
        "明=ming, 小红=xiaohong, 建国=jianguo, 美玲=meiling, 浩然=haoran, 子涵=zihan",
        "李=li, 王=wang, 陈=chen, 張=zhang, 刘=liu, 黃=huang",
    ),
    (
        "محمد=mohammad, فاطمة=fatima, علي=ali, مريم=maryam, يوسف=yusuf, نور=nour",
        "الأحمد=alahmad, حسن=hasan, الخطيب=alkhatib, منصور=mansour, حداد=haddad",
    ),
    (
        "Νίκος=nikos, Ελένη=eleni, Γιώργος=giorgos, Σοφία=sofia, Κώστας=kostas",
        "Παπαδόπουλος=papadopoulos, Νικολάου=nikolaou, Γεωργίου=georgiou, Δήμου=dimou",
    ),
    (
        "지우=jiwoo, 민준=minjun, 서연=seoyeon, 하준=hajun, 수아=sua",
        "김=kim, 이=lee, 박=park, 최=choi, 정=jung",
    ),
)

PLACES_FIRST = """
Alder, Amber, Aspen, Bear, Birch, Bright, Brook, Canyon, Cedar, Chestnut, Clear, Copper, Cotton,
Cypress, Deer, Eagle, East, Elm, Fair, Falcon, Fern, Forest, Fox, Garden, Glen, Granite, Green,
Hawthorn, Hickory, Juniper, Lake, Laurel, Liberty, Linden, Magnolia, Maple, Meadow, Mill, North,
Oak
"""

PLACES_SECOND = """
Acres, Arbor, Basin, Bay, Bend, Bluff, Bridge, Canyon, Circle, Cliff, Corner, Cove, Creek,
Crossing, Dale, Falls, Field, Ford, Gate, Glade, Grove, Harbor, Heights, Hill, Hollow, Island,
Knoll, Landing, Mesa, Mountain, Orchard, Park, Pass, Point, Prairie, Ridge, River, Run, Springs,
Valley
"""

# One person in so many bears a name in another script, and one in so many two family names.
SCRIPT_SHARE = 16
DOUBLE_SHARE = 40

LETTERS_WITHOUT_PARTS = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ß": "ss", "æ": "ae"})


def _listed(text: str) -> tuple[str, ...]:
    return tuple(" ".join(item.split()) for item in text.split(","))


def _folded(text: str) -> str:
    """The letters a keyboard without accents has: José is jose, de la Cruz is delacruz."""
    parts = unicodedata.normalize("NFKD", text.lower().translate(LETTERS_WITHOUT_PARTS))
    return "".join(letter for letter in parts if "a" <= letter <= "z")


def _latin(text: str) -> tuple[Name, ...]:
    return tuple(Name(item, _folded(item)) for item in _listed(text))


def _spelled(text: str) -> tuple[Name, ...]:
    pairs = (item.split("=") for item in _listed(text))
    return tuple(Name(written, spelled) for written, spelled in pairs)


LATIN = Pool(_latin(GIVEN), _latin(FAMILY))
OTHERS = tuple(Pool(_spelled(given), _spelled(family)) for given, family in SCRIPTS)
FIRST_WORDS = _listed(PLACES_FIRST)
SECOND_WORDS = _listed(PLACES_SECOND)


def _pool(drawn: int) -> Pool:
    return OTHERS[(drawn >> 8) % len(OTHERS)] if drawn % SCRIPT_SHARE == 0 else LATIN


def person_name(drawn: int) -> PersonName:
    """The name a drawn 64-bit number stands for."""
    pool = _pool(drawn)
    given = pool.given[(drawn >> 12) % len(pool.given)]
    family = pool.family[(drawn >> 28) % len(pool.family)]
    if pool is LATIN and (drawn >> 44) % DOUBLE_SHARE == 0:
        second = pool.family[(drawn >> 50) % len(pool.family)]
        return PersonName(given, Name(f"{family.text}-{second.text}", family.ascii + second.ascii))
    return PersonName(given, family)


def other_family(drawn: int) -> Name:
    """A family name in the same script that is not the one `person_name` gives."""
    pool = _pool(drawn)
    step = 1 + (drawn >> 50) % (len(pool.family) - 1)
    return pool.family[((drawn >> 28) + step) % len(pool.family)]


def place_name(number: int) -> str:
    """Two words; no two of the first 1,600 numbers share them."""
    count = len(FIRST_WORDS) * len(SECOND_WORDS)
    spread = number * 677 % count
    return f"{FIRST_WORDS[spread % len(FIRST_WORDS)]} {SECOND_WORDS[spread // len(FIRST_WORDS)]}"
