"""The types that annotations of an application use, under Flask's name for this module."""

from typing import TypeVar

from quart.typing import AfterRequestCallable as AfterRequestCallable
from quart.typing import AppOrBlueprintKey as AppOrBlueprintKey
from quart.typing import BeforeRequestCallable as BeforeRequestCallable
from quart.typing import ErrorHandlerCallable as ErrorHandlerCallable
from quart.typing import HeadersValue as HeadersValue
from quart.typing import HeaderValue as HeaderValue
from quart.typing import ResponseReturnValue as ResponseReturnValue
from quart.typing import ResponseValue as ResponseValue
from quart.typing import RouteCallable as RouteCallable
from quart.typing import ShellContextProcessorCallable as ShellContextProcessorCallable
from quart.typing import StatusCode as StatusCode
from quart.typing import TeardownCallable as TeardownCallable
from quart.typing import TemplateContextProcessorCallable as TemplateContextProcessorCallable
from quart.typing import TemplateFilterCallable as TemplateFilterCallable
from quart.typing import TemplateGlobalCallable as TemplateGlobalCallable
from quart.typing import TemplateTestCallable as TemplateTestCallable
from quart.typing import URLDefaultCallable as URLDefaultCallable
from quart.typing import URLValuePreprocessorCallable as URLValuePreprocessorCallable
from quart.typing import WebsocketCallable as WebsocketCallable
from werkzeug.wrappers import Response as WerkzeugResponse

ResponseClass = TypeVar("ResponseClass", bound=WerkzeugResponse)
