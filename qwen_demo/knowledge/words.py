"""Texts as the words that are indexed and searched: folded, English stemmed, Chinese and its neighbours in pairs.

Scripts without blanks between words are cut into overlapping pairs of characters (bigrams), which needs no dictionary
and finds every word of two characters or more; of one character alone, that one. Numbers and names of parts stay whole.
"""

import functools
import itertools
import re
import unicodedata

import snowballstemmer

from qwen_demo.media import PageText

_DENSE = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_DENSE}]+|[^\W_{_DENSE}]+")
_DENSE_START = re.compile(rf"[{_DENSE}]")
_STEMMER = snowballstemmer.stemmer("english")

# In a question they say how it is asked, not about what.
_ASKING_WORDS = (
    "a an and any are as at be by can could did do does for from give had has have how i in is it its list many "
    "me much my name of on or our please say show shall should tell than that the their them there these they "
    "this those to was we were what when where which who whom whose why will with would you your according "
    "document documents s t d m ll re ve "
)
_ASKING = frozenset(_ASKING_WORDS.split())
_ASKING_DENSE = re.compile(
    "请问|請問|是多少|多少|什么|什麼|哪里|哪裡|哪个|哪個|哪家|哪些|哪一|谁的|谁|誰|怎么|怎麼|如何|为什么|为何|告诉我|是否|"
    "的|是|了|吗|呢|在|和|与|或|几|嗎|幾|何时|我们|我|你|它|该|这|那"
)


def folded(text: str) -> str:
    """Without case, width and accents."""
    text = unicodedata.normalize("NFKC", text).casefold()
    if text.isascii():
        return text
    kept = (c for c in unicodedata.normalize("NFD", text) if not "\u0300" <= c <= "\u036f")
    return unicodedata.normalize("NFC", "".join(kept))


@functools.lru_cache(maxsize=65_536)
def _stemmed(word: str) -> str:
    return _STEMMER.stemWord(word) if word.isascii() and word.isalpha() and len(word) > 3 else word


def words_of(text: str) -> list[str]:
    """What is indexed of a text, in order, as often as it stands there."""
    found: list[str] = []
    for word in _WORD.findall(folded(text)):
        if not _DENSE_START.match(word):
            found.append(_stemmed(word[:64]))
        elif len(word) == 1:
            found.append(word)
        else:
            found += map("".join, itertools.pairwise(word))
    return found


def asked_words(question: str) -> list[str]:
    """What is searched for, each once; of a question that has nothing else, its asking words, too."""
    text = folded(question)
    plain = " ".join(word for word in _WORD.findall(_ASKING_DENSE.sub(" ", text)) if word not in _ASKING)
    return list(dict.fromkeys(words_of(plain) or words_of(text)))[:MOST_WORDS]


MOST_WORDS = 48


def indexed(name: str, page: PageText) -> list[str]:
    """The name of a file belongs to what its pages are about."""
    stem = name.rpartition("/")[2].rpartition(".")[0]
    return words_of(stem) + [word for passage in page.passages for word in words_of(passage.text)]
