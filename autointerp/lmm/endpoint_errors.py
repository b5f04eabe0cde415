"""What an endpoint's error means: closed lists of statuses, codes and words, of which the first that fits counts.

The spellings are those of OpenAI, Azure, vLLM, SGLang, llama.cpp, Ollama, LM Studio, text-generation-inference,
LiteLLM, OpenRouter, Groq, Mistral, DeepSeek, xAI, Together, Fireworks, DashScope, Zhipu, Moonshot, MiniMax, and of the
compatible endpoints of Gemini and Anthropic.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

_WORDY = ("message", "msg", "detail", "details", "error", "errors", "error_msg", "error_message", "status_msg", "raw")
_WORDY += ("reason", "reasons", "title", "description", "innererror", "inner_error", "metadata", "base_resp", "cause")
"""Keys under which errors have words; others repeat what was asked, or what the model said."""
_CODED = ("code", "type", "status", "error_code", "status_code", "reason", "object")
_DEPTH = 6
_MOST_WORDS = 4000


class Meaning(Enum):
    """What becomes of a call that an endpoint answered with an error."""

    PASSING = "the same call may succeed later"
    REFUSED = "a content filter refused the question or the answer"
    NO_JSON = "the endpoint could not make the model keep to JSON this time"
    HOPELESS = "no request of this run can succeed until a setting is changed"
    UNUSABLE = "this request cannot succeed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Says what an error of an endpoint means."""

    meaning: Meaning
    slow_down: bool = False
    """Whether the endpoint asks for less."""
    remedy: str | None = None
    """Of a hopeless one: what the user should do, with places for {where} and {said}."""


@dataclass(frozen=True, slots=True)
class _Rule:
    meaning: Meaning
    remedy: str | None = None
    always: frozenset[int] = frozenset()
    """Statuses that say it by themselves."""
    codes: str = "$."
    """Codes and types that say it with any status, without case and punctuation."""
    words: str = "$."
    """Words that say it with one of `statuses`, or within a 200."""
    statuses: frozenset[int] = frozenset((400, 403, 404, 413, 415, 422, 500, 501))

    def fits(self, status: int | None, codes: list[str], words: str) -> bool:
        if status in self.always or any(re.fullmatch(self.codes, code) for code in codes):
            return True
        return (status is None or status in self.statuses) and re.search(self.words, words, re.IGNORECASE) is not None


_FEWER = (
    "show fewer images with --top, --bands and --contrast, each once with a single --rendering, judge fewer at once "
    "with --per-call or on one picture with --layout sheet"
)
_BUSY = r"rate.?limit|too many requests|throttl|overload|capacity|queue is full|\bbusy\b|loading (?:the )?model"
_BUSY += r"|model\b.{0,60}\bloading|slow down|繁忙|频率|限流"
_RULES = (
    _Rule(
        Meaning.HOPELESS,
        "{where}: the account has no credit left ({said}); add some, then run the same command again",
        always=frozenset((402,)),
        codes="insufficientquota|insufficientbalance|insufficientcredits?|billing(?:hardlimitreached|notactive|error)"
        "|arrearage|paymentrequired|outofcredits?|1113|1008",
        words=r"insufficient (?:balance|credits?|quota|funds)|credit balance is too low|out of credits?"
        r"|no credits? left"
        r"|requires more credits|purchase credits|billing (?:hard )?limit|payment required|欠费|余额不足",
        statuses=frozenset((400, 401, 403, 422, 429)),
    ),
    _Rule(
        Meaning.HOPELESS,
        "{where} refuses the API key ({said}); set AUTOINTERP_API_KEY or OPENAI_API_KEY",
        always=frozenset((401,)),
        codes="invalidapikey|incorrectapikey|apikeyinvalid|invalidauthentication|authentication(?:error)?"
        "|unauthenticated"
        "|unauthorized|accountdeactivated|accountsuspended",
        words=r"(?:api.?key|token|credentials?)\b.{0,20}\b(?:not valid|invalid|expired|revoked|missing|incorrect)"
        r"|(?:incorrect|invalid|missing|no|wrong|expired) (?:api.?key|credentials?|authentication)"
        r"|account .{0,40}(?:suspended|deactivated|disabled|banned)|organization has been (?:restricted|disabled)",
        statuses=frozenset((400, 403)),
    ),
    _Rule(
        Meaning.REFUSED,
        codes="contentfilter(?:ed|error)?|(?:output|prompt|input)?blocked|(?:text|image)?safety(?:error|violations?)?"
        "|(?:image)?prohibitedcontent|blocklist|recitation|spii|(?:content|image)?policyviolation(?:error)?"
        "|(?:content|cyber|usage|safety)policyviolation(?:error)?|responsibleaipolicyviolation|datainspectionfailed"
        "|(?:content)?moderation(?:blocked|error|failed|flagged)?|\\w*sensitivecontentdetected|sensitive"
        "|sensitivewordsdetected|guardrail\\w*|1301|1026|1027|flagged",
        words=r"content[ _-]?(?:management )?(?:filter|polic(?:y|ies)|moderation)|\bmoderat(?:ion|ed)\b|\bflagged\b"
        r"|safety (?:system|filter|polic|reason|guideline|violation|check)|usage (?:polic|guideline)"
        r"|violat\w* .{0,60}(?:polic|guideline|terms)|inappropriate content|content exists risk|considered high risk"
        r"|sensitive (?:content|words?|information|material)|prohibited content|responsible.?ai|guardrail"
        r"|unsafe content|data.?inspection|敏感|违规|违禁",
        statuses=frozenset((400, 403, 422, 451)),
    ),
    _Rule(
        Meaning.HOPELESS,
        "{where}: the model does not see images ({said}); name a model with vision with --model",
        words=r"(?:images?|vision|pictures?|image[ _]urls?|multi.?modal|media)\W?(?: inputs?| contents?| data)? "
        r"(?:is|are) (?:not supported|unsupported|only supported)"
        r"|not a (?:multi.?modal|vision)\b|(?:does not|doesn't|cannot|do not) (?:support|accept|take|process|see) "
        r"(?:image|vision|multi.?modal|picture)s?(?! (?:format|type|size|url|of))|at most 0 image|image=0\b"
        r"|only (?:supports? )?text"
        r"|text.?only model|no vision|mmproj|unsupported content type.*image|required for image input"
        r"|no endpoints found that support image|unknown variant .?image_url"
        r"|content\W.{0,40}(?:must|should) be a (?:valid )?string",
    ),
    _Rule(
        Meaning.HOPELESS,
        f"{{where}}: a request has too many images ({{said}}); {_FEWER}, or raise the server's own limit "
        "(vLLM: --limit-mm-per-prompt)",
        codes="toomanyimages|imagelimitexceeded|maximagesexceeded",
        words=r"at most \d+ (?:image|multi.?modal)|limit.mm.per.prompt|too many (?:images|pictures|image)"
        r"|(?:number|count|amount) of (?:images|pictures|image).{0,60}(?:exceed|max|limit|at most|more than|less)"
        r"|(?:exceed|max|limit|more than|fewer than|up to|less than)\w*.{0,40}\b\d+ (?:images|pictures)\b"
        r"|(?:max|limit)\w*.{0,20} images? (?:per|in a|in one|allowed)",
    ),
    _Rule(
        Meaning.HOPELESS,
        f"{{where}}: a request is longer than the model's context ({{said}}); {_FEWER}, make pictures smaller with "
        "--side, or raise the server's own limit (vLLM: --max-model-len, SGLang: --context-length, llama.cpp: "
        "--ctx-size, Ollama: OLLAMA_CONTEXT_LENGTH)",
        codes="contextlengthexceeded|contextwindowexceeded(?:error)?|modelcontextwindowexceeded"
        "|exceedcontextsize(?:error)?"
        "|stringabovemaxlength|(?:prompt|input)toolong|inputlengthexceeded|tokenlimitexceeded|1261",
        words=r"context.?(?:length|window|size|limit)"
        r"|(?:max|maximum) ?(?:prompt|model|input|sequence|total|token)*\W?len"
        r"|maximum model length|(?:prompt|input|message)s? (?:is|are) too (?:long|large)"
        r"|too many (?:input |total |prompt )?tokens"
        r"|(?<!rate )token limit|tokens?\b.{0,60}\bexceed(?!.{0,80}(?:per|a) min)"
        r"|exceed\w*\b.{0,60}\btokens?\b(?!.{0,20}(?:per|a) min)"
        r"|max_model_len|reduce (?:the|your) (?:length|prompt|input)|longer than the (?:maximum )?(?:model|context)"
        r"|`?inputs?`?.{0,40}must (?:have|be) (?:less|<)|range of input length|context the overflows|超长",
    ),
    _Rule(
        Meaning.HOPELESS,
        f"{{where}}: the body of a request is too large ({{said}}); {_FEWER}, make pictures smaller with --side, or "
        "raise "
        "the limit of the server or of the proxy before it (nginx: client_max_body_size)",
        always=frozenset((413,)),
        codes="request(?:entity)?toolarge|payloadtoolarge(?:error)?|bodytoolarge|imagetoolarge",
        words=r"(?:payload|request|entity|body|image)s?(?: \w+){0,3} (?:is |are )?too (?:large|big)|request too large"
        r"|(?:payload|request|body|image)s?\b.{0,40}\b(?:exceed|larger than|bigger than)\w*.{0,60}"
        r"(?:byte|size|[kmg]i?b\b|limit)"
        r"|max\w* bytes|length limit exceeded",
        statuses=frozenset((400, 403, 413, 422, 429, 500)),
    ),
    _Rule(
        Meaning.HOPELESS,
        "{where} does not write as many tokens as --max-tokens says ({said}); give fewer",
        words=r"max_?(?:completion_|output_|new_)?tokens\b.{0,80}(?:too (?:large|big|high)|at most|less than"
        r"|greater than|exceed|maximum|should be \[| > |<=|valid range)|range of max_tokens",
        statuses=frozenset((400, 422)),
    ),
    _Rule(
        Meaning.HOPELESS,
        "{where} has no such model or path ({said}); check --model and --base-url (it ends in /v1)",
        always=frozenset((404, 405, 410)),
        codes="modelnotfound|invalidmodel|unknownmodel|modelnotexists?|deploymentnotfound|modeldecommissioned|1211",
        words=r"\bmodel\b(?!s? (?:runner|process)).{0,80}(?:not found|not exist|not a valid model"
        r"|not available to|decommissioned|no longer available)|(?:invalid|unknown|no such|unable to access) model"
        r"|not a valid model|no models? (?:is |are )?loaded|try pulling it",
        statuses=frozenset((400, 403, 422)),
    ),
    _Rule(
        Meaning.NO_JSON,
        codes="jsonvalidatefailed|jsonvalidationfailed|outputparsefailed|jsongenerationfailed|failedgeneration",
        words=r"failed to (?:generate|produce|output|validate|parse) (?:\w+ )?json|json_validate_failed"
        r"|(?:did not|could not|cannot) (?:generate|produce|output|return) (?:\w+ )?json"
        r"|(?:generated|model(?:'s)?) (?:output|json|response) (?:is|was|does|did) not (?:valid|match)",
        statuses=frozenset((400, 422, 424, 500)),
    ),
    _Rule(
        Meaning.PASSING,
        always=frozenset((408, 409, 421, 423, 424, 425, 429, 460, 498, 499))
        | (frozenset(range(500, 600)) - {501, 505, 510, 511}),
        codes="overloaded(?:error)?|engineoverloaded(?:error)?|ratelimit\\w*|toomanyrequests|resourceexhausted"
        "|throttling\\w*"
        "|unavailable(?:error)?|serviceunavailable(?:error)?|servererror|internalerror|internalservererror"
        "|deadlineexceeded"
        "|timeout(?:error)?|modelloading|modelnotready|upstreamerror|provider(?:error|unavailable)|apiconnectionerror"
        "|userratelimitexceeded|aborted",
        words=_BUSY
        + r"|again (?:later|in |shortly|after)|please retry|temporar(?:y|ily)|unavailable|timed? ?out\b|upstream"
        r"|connection (?:reset|error|refused|closed)|disconnected|internal (?:server )?error|warming up|starting up"
        r"|not (?:yet )?ready|稍后|重试",
        statuses=frozenset((400, 403, 422)),
    ),
    _Rule(
        Meaning.HOPELESS,
        "{where} refuses access ({said}); check the API key's rights, --model and --base-url",
        always=frozenset((403, 407)),
        codes="permission(?:denied|error|deniederror)|accessdenied|forbidden|unsupportedcountryregionterritory",
    ),
)


def verdict(status: int | None, error: object) -> Verdict:
    """Decides what an error of an endpoint means.

    Args:
        status: of the answer; None where the error came within a 200 and states none.
        error: as `error_of` gives it.
    """
    codes, words = [re.sub(r"[\W_]+", "", code).lower() for code in _codes(error)], words_of(error)
    rule = next((rule for rule in _RULES if rule.fits(status, codes, words)), None)
    if rule is None:
        return Verdict(Meaning.PASSING if status is None else Meaning.UNUSABLE)
    busy = rule.meaning is Meaning.PASSING and (
        status in (429, 498, 503, 529) or re.search(_BUSY, f"{words} {' '.join(codes)}", re.IGNORECASE) is not None
    )
    return Verdict(rule.meaning, busy, rule.remedy)


def kind_of(status: int | None, means: Verdict) -> str:
    """The kind of the failure, as in failures.jsonl."""
    if means.meaning in (Meaning.REFUSED, Meaning.NO_JSON):
        return "refused" if means.meaning is Meaning.REFUSED else "malformed"
    return "rate_limited" if status == 429 else f"http_{status or 502}"


def error_of(text: str) -> object:
    """What the body of an error says: its `error` where it has one; words where it is not JSON."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return text.strip()
    if isinstance(body, list) and body:  # as Gemini answers
        body = body[0]
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) and error else body


def status_of(error: object) -> int | None:
    """The HTTP status that an error within a 200 states, if it states one."""
    if not isinstance(error, dict):
        return None
    for name in ("code", "status", "status_code"):
        stated = error.get(name)
        if (
            isinstance(stated, str | int)
            and not isinstance(stated, bool)
            and re.fullmatch("[3-5][0-9]{2}", str(stated))
        ):
            return int(stated)
    return None


def words_of(error: object) -> str:
    """The words of an error, each once: its message, and what a provider behind a router said."""
    return "; ".join(dict.fromkeys(_words(error, _DEPTH)))[:_MOST_WORDS]


def _words(said: object, depth: int) -> Iterator[str]:
    if isinstance(said, str):
        inner = error_of(said) if said.lstrip().startswith("{") else None
        if isinstance(inner, dict) and depth:
            yield from _words(inner, depth - 1)
        elif (
            plain := re.sub(r"<(?:style|script).*?</|<[^>]*>", " ", said, flags=re.DOTALL) if said[:1] == "<" else said
        ).strip():
            yield plain.strip()
    elif isinstance(said, list) and depth:
        for item in said[:_DEPTH]:
            yield from _words(item, depth - 1)
    elif isinstance(said, dict) and depth:
        for name in _WORDY:
            yield from _words(said.get(name), depth - 1)


def _codes(said: object, depth: int = _DEPTH) -> Iterator[str]:
    if isinstance(said, dict) and depth:
        for name in _CODED:
            if isinstance(said.get(name), str | int):
                yield str(said[name])
        for name in _WORDY:
            yield from _codes(said.get(name), depth - 1)
    elif isinstance(said, list) and depth:
        for item in said[:_DEPTH]:
            yield from _codes(item, depth - 1)
    elif isinstance(said, str) and depth and said.lstrip().startswith("{"):
        yield from _codes(error_of(said), depth - 1)
