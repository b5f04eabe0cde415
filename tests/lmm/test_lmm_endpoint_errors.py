"""What the errors of the endpoints in use mean, in the words that these endpoints use."""

import json

import pytest

from autointerp.lmm.endpoint_errors import Meaning, error_of, kind_of, status_of, verdict, words_of

PASSING, REFUSED, NO_JSON = Meaning.PASSING, Meaning.REFUSED, Meaning.NO_JSON
HOPELESS, UNUSABLE = Meaning.HOPELESS, Meaning.UNUSABLE


def body(message: object, **more: object) -> object:
    return error_of(json.dumps({"error": {"message": message} | more}))


@pytest.mark.parametrize("status", [408, 409, 425, 429, 498, 499, 500, 502, 503, 504, 507, 520, 525, 529, 530, 599])
def test_a_status_alone_may_say_that_it_passes(status: int):
    assert verdict(status, "").meaning is PASSING


@pytest.mark.parametrize("status", [400, 406, 411, 415, 422, 431, 501, 505])
def test_other_statuses_without_words_are_of_the_one_request(status: int):
    assert verdict(status, "").meaning is UNUSABLE


@pytest.mark.parametrize("status", [401, 402, 403, 404, 405, 407, 410, 413])
def test_some_statuses_alone_stop_the_run(status: int):
    means = verdict(status, "")

    assert means.meaning is HOPELESS
    assert means.remedy is not None


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, body("Loading model", type="unavailable_error")),
        (400, body("Overloaded", type="overloaded_error")),
        (400, body("the engine is overloaded, please try again later", type="engine_overloaded_error")),
        (400, body("Model m is currently loading")),
        (403, body("Rate limit exceeded", status="userRateLimitExceeded")),
        (422, body("Request timed out.")),
        (400, body("Provider returned error", code=400, metadata={"raw": '{"error": {"message": "upstream reset"}}'})),
        (500, body("llama runner process has terminated: signal: killed")),
        (500, body("model runner has unexpectedly stopped, this may be due to resource limitations")),
        (503, body("content moderation service unavailable")),
        (429, body("You exceeded your current quota, please check your plan.", status="RESOURCE_EXHAUSTED", code=429)),
        (429, body("Rate limit reached: 30000 tokens per min exceeded", code="rate_limit_exceeded")),
        (None, body("Upstream provider disconnected", code="odd")),
        (None, body("anything")),
    ],
)
def test_some_words_say_that_it_passes(status: int | None, error: object):
    assert verdict(status, error).meaning is PASSING


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, body("filtered", code="content_filter")),
        (400, body("x", code="contentFilter")),
        (400, body("x", innererror={"code": "ResponsibleAIPolicyViolation"})),
        (400, body("x", code="content_policy_violation")),
        (400, body("Input data may contain inappropriate content.", code="DataInspectionFailed")),
        (400, body("x", code="data_inspection_failed")),
        (400, body("x", code="moderation_blocked")),
        (400, body("Content Exists Risk", type="invalid_request_error")),
        (400, body("The request was rejected because it was considered high risk")),
        (400, body("Your request was rejected as a result of our safety system.")),
        (400, body("Invalid prompt: your prompt was flagged as potentially violating our usage policy.")),
        (400, body("Output blocked by content filtering policy")),
        (400, body("litellm.ContentPolicyViolationError: AzureException")),
        (400, body("Prompt blocked: PROHIBITED_CONTENT")),
        (400, body("NSFW content detected")),
        (400, body("Request contains harmful content")),
        (400, body("content was deemed unsafe")),
        (400, body("Unable to respond due to policy restrictions")),
        (400, body("系统检测到输入或生成内容可能包含不安全或敏感内容", code="1301")),
        (400, body("x", code="InputImageSensitiveContentDetected")),
        (400, body("Provider returned error", metadata={"raw": '{"error": {"code": "content_filter"}}'})),
        (403, body("m requires moderation. Your input was flagged", code=403, metadata={"reasons": ["violence"]})),
        (403, body("Content violates usage guidelines.")),
        (451, body("flagged")),
        (500, body("x", code="content_filter")),
        (None, body("x", code="PROHIBITED_CONTENT")),
    ],
)
def test_a_content_filter_refuses_whatever_it_is_called(status: int | None, error: object):
    means = verdict(status, error)

    assert (means.meaning, kind_of(status, means)) == (REFUSED, "refused")


@pytest.mark.parametrize(
    ("status", "error", "remedy"),
    [
        (400, body("At most 1 image(s) may be provided in one prompt."), "--limit-mm-per-prompt"),
        (400, body("You set image=1 (or defaulted to 1) in `--limit-mm-per-prompt`, but passed 4"), "--top"),
        (400, body("Too many images provided. This model supports up to 5 images"), "--top"),
        (400, body("Number of images exceeds the maximum allowed: 8"), "--top"),
        (400, body("Please use fewer than 16 images in your request to models/m"), "--top"),
        (400, body("Invalid image count: 12. Maximum allowed is 10"), "--top"),
        (400, body("Image limit exceeded: 16 > 10"), "--top"),
        (400, body("The number of images in the request (20) is larger than the allowed 16"), "--top"),
        (400, body("The request contains 20 images but the model accepts only 1"), "--top"),
        (500, body("vision model only supports a single image per message"), "--top"),
        (400, body("This model only supports one image per request"), "--top"),
        (400, body("Expected at most 1 image, got 4"), "--top"),
        (
            400,
            body("This model's maximum context length is 4096 tokens. However, you requested 5000"),
            "--max-model-len",
        ),
        (400, body("x", code="context_length_exceeded"), "--max-model-len"),
        (
            400,
            body("request (9 tokens) exceeds the available context size (4 tokens), try increasing it"),
            "--ctx-size",
        ),
        (400, body("x", type="exceed_context_size_error", n_ctx=4), "--ctx-size"),
        (
            400,
            body("The input (5000 tokens) is longer than the model's context length (4096 tokens)."),
            "--context-length",
        ),
        (
            400,
            body("The decoder prompt (length 5000) is longer than the maximum model length of 4096."),
            "--max-model-len",
        ),
        (400, body("prompt is too long: 208310 tokens > 200000 maximum"), "--top"),
        (400, body("The input token count (9) exceeds the maximum number of tokens allowed (8)."), "--top"),
        (400, body("Range of input length should be [1, 30720]"), "--top"),
        (422, body("Input validation error: `inputs` must have less than 4096 tokens. Given: 6000"), "--top"),
        (400, body("Provider returned error", metadata={"raw": '{"message": "context length exceeded"}'}), "--top"),
        (500, body("input length exceeds the context length"), "OLLAMA_CONTEXT_LENGTH"),
        (400, body("Input length 5000 exceeds the maximum allowed length 4096"), "--max-model-len"),
        (500, body("input is too large to process. increase the physical batch size"), "--ctx-size"),
        (413, body("Request too large: tokens per minute (TPM): Limit 6000, Requested 9000"), "--top"),
        (429, body("Request too large for m on tokens per min (TPM): Limit 30000, Requested 40000."), "--top"),
        (400, body("Request payload size exceeds the limit: 20971520 bytes."), "--side"),
        (400, body("Exceeded limit on max bytes per data-uri item : 10485760"), "--side"),
        (400, body("messages.0.image: image exceeds 5 MB maximum: 6 bytes > 5 bytes"), "--side"),
        (400, body("`max_tokens` must be less than or equal to `8192`"), "--max-tokens"),
        (400, body("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]"), "--max-tokens"),
        (400, body("unknown variant `image_url`, expected `text`"), "does not see images"),
        (404, body("No endpoints found that support image input"), "does not see images"),
        (500, body("this model is missing data required for image input"), "does not see images"),
        (400, body("At most 0 image(s) may be provided in one prompt."), "does not see images"),
        (400, body("messages[1].content must be a string"), "does not see images"),
        (422, {"detail": [{"loc": ["content"], "msg": "Input should be a valid string"}]}, "does not see images"),
        (400, body("image_url content type is not supported by this model"), "does not see images"),
        (400, body("Model Not Exist"), "--model"),
        (400, body("m is not a valid model ID"), "--model"),
        (400, body("x", type="invalid_model", code="1500"), "--model"),
        (400, body("The model `m` has been decommissioned", code="model_decommissioned"), "--model"),
        (404, body('model "m" not found, try pulling it first'), "--model"),
        (400, body("No models loaded. Please load a model"), "--model"),
        (400, body("API key not valid. Please pass a valid API key.", status="INVALID_ARGUMENT"), "AUTOINTERP_API_KEY"),
        (400, body("Incorrect API key provided: xy"), "AUTOINTERP_API_KEY"),
        (401, body("flagged as abuse"), "AUTOINTERP_API_KEY"),
        (400, body("Your credit balance is too low to access the API"), "no credit"),
        (429, body("x", code="insufficient_quota"), "no credit"),
        (400, body("Budget has been exceeded! Current cost: 1.0, Max budget: 0.5"), "no credit"),
        (429, body("ExceededBudget: User=x over budget.", type="budget_exceeded"), "no credit"),
        (403, body("Key limit exceeded (total limit)", code=403), "no credit"),
        (403, body("Your API key has been disabled"), "AUTOINTERP_API_KEY"),
        (400, body("User location is not supported for the API use."), "refuses access"),
        (403, body("x", code="unsupported_country_region_territory"), "refuses access"),
    ],
)
def test_a_wrong_setting_stops_the_run_with_what_to_do(status: int, error: object, remedy: str):
    means = verdict(status, error)

    assert means.meaning is HOPELESS
    assert means.remedy is not None
    assert remedy in means.remedy


@pytest.mark.parametrize(
    "error",
    [
        body("Failed to generate JSON. Please adjust your prompt.", code="json_validate_failed", failed_generation="x"),
        body("x", code="json_validate_failed"),
        body("Failed to validate JSON"),
        body("The model did not generate valid JSON"),
    ],
)
def test_a_reply_that_the_endpoint_found_to_be_no_json_is_the_models(error: object):
    means = verdict(400, error)

    assert (means.meaning, kind_of(400, means)) == (NO_JSON, "malformed")


@pytest.mark.parametrize(
    "message",
    [
        "Unsupported value: 'temperature' does not support 0 with this model.",
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        "response_format.type json_schema is not available",
        "Invalid schema for response_format",
        "Unknown parameter: seed",
        "You uploaded an unsupported image. Please make sure your image is valid.",
        "Could not process image",
        "does not support image format webp",
    ],
)
def test_a_complaint_about_a_field_or_a_picture_is_of_the_one_request(message: str):
    assert verdict(400, body(message)).meaning is UNUSABLE


def test_what_the_model_said_or_was_asked_is_no_word_of_the_endpoint():
    error = body("Bad request", failed_generation="flagged by the content filter", input={"text": "too many images"})

    assert words_of(error) == "Bad request"
    assert verdict(400, error).meaning is UNUSABLE


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"error": {"message": "a"}}', "a"),
        ('{"error": "a"}', "a"),
        ('[{"error": {"code": 400, "message": "a"}}]', "a"),
        ('{"detail": [{"loc": ["body"], "msg": "a", "input": "b"}, {"msg": "c"}]}', "a; c"),
        ('{"object": "error", "message": "a"}', "a"),
        ('{"error": {"message": "a", "metadata": {"raw": "{\\"error\\": {\\"message\\": \\"b\\"}}"}}}', "a; b"),
        ('{"base_resp": {"status_code": 1004, "status_msg": "a"}}', "a"),
        ("plain", "plain"),
        ("<h1>413 Too Large</h1>", "413 Too Large"),
        ("", ""),
        ("{}", ""),
    ],
)
def test_the_words_of_an_error_are_found_in_every_shape(text: str, words: str):
    assert words_of(error_of(text)) == words


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"code": 503}, 503),
        ({"code": "503"}, 503),
        ({"code": "x", "status": 429}, 429),
        ({"code": 200}, None),
        ({"code": True}, None),
        ({"code": "1301"}, None),
        ("503", None),
    ],
)
def test_the_status_of_an_error_within_a_200(error: object, status: int | None):
    assert status_of(error) == status


@pytest.mark.parametrize(
    ("status", "error", "slow"),
    [(429, "", True), (503, "", True), (529, "", True), (500, "", False), (400, body("Overloaded"), True)],
)
def test_who_is_busy_asks_for_less(status: int, error: object, slow: bool):
    assert verdict(status, error).slow_down is slow
