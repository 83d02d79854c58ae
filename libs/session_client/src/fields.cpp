#include "sesior/session_client/session_client.hpp"
