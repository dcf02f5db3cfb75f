#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "ccurl.h"

#include <curl/curl.h>
#include <sys/socket.h>
#include <unistd.h>

#define SAME(name) _Static_assert((long)C##name == (long)name, #name)
SAME(CURLOPT_BUFFERSIZE);
SAME(CURLOPT_CAINFO);
SAME(CURLOPT_CAPATH);
SAME(CURLOPT_CLOSESOCKETDATA);
SAME(CURLOPT_CONNECT_ONLY);
SAME(CURLOPT_CONNECTTIMEOUT_MS);
SAME(CURLOPT_CUSTOMREQUEST);
SAME(CURLOPT_ERRORBUFFER);
SAME(CURLOPT_FOLLOWLOCATION);
SAME(CURLOPT_HEADERDATA);
SAME(CURLOPT_HEADERFUNCTION);
SAME(CURLOPT_HTTPGET);
SAME(CURLOPT_HTTPHEADER);
SAME(CURLOPT_HTTP_VERSION);
SAME(CURLOPT_KEYPASSWD);
SAME(CURLOPT_MAXCONNECTS);
SAME(CURLOPT_NOBODY);
SAME(CURLOPT_NOPROGRESS);
SAME(CURLOPT_NOPROXY);
SAME(CURLOPT_NOSIGNAL);
SAME(CURLOPT_OPENSOCKETDATA);
SAME(CURLOPT_PATH_AS_IS);
SAME(CURLOPT_POST);
SAME(CURLOPT_POSTFIELDS);
SAME(CURLOPT_POSTFIELDSIZE_LARGE);
SAME(CURLOPT_PREREQDATA);
SAME(CURLOPT_PROTOCOLS_STR);
SAME(CURLOPT_PROXY_CAINFO);
SAME(CURLOPT_PROXY_CAPATH);
SAME(CURLOPT_SSLCERT);
SAME(CURLOPT_SSLKEY);
SAME(CURLOPT_SSL_ENABLE_ALPN);
SAME(CURLOPT_SSL_VERIFYHOST);
SAME(CURLOPT_SSL_VERIFYPEER);
SAME(CURLOPT_SUPPRESS_CONNECT_HEADERS);
SAME(CURLOPT_TCP_KEEPALIVE);
SAME(CURLOPT_TCP_KEEPIDLE);
SAME(CURLOPT_TCP_KEEPINTVL);
SAME(CURLOPT_TCP_NODELAY);
SAME(CURLOPT_UPLOAD_BUFFERSIZE);
SAME(CURLOPT_URL);
SAME(CURLOPT_USERAGENT);
SAME(CURLOPT_WRITEDATA);
SAME(CURLOPT_WRITEFUNCTION);
SAME(CURLOPT_XFERINFODATA);
SAME(CURLE_AGAIN);
SAME(CURLE_BAD_CONTENT_ENCODING);
SAME(CURLE_COULDNT_CONNECT);
SAME(CURLE_COULDNT_RESOLVE_HOST);
SAME(CURLE_COULDNT_RESOLVE_PROXY);
SAME(CURLE_GOT_NOTHING);
SAME(CURLE_HTTP2);
SAME(CURLE_HTTP2_STREAM);
SAME(CURLE_OK);
SAME(CURLE_OPERATION_TIMEDOUT);
SAME(CURLE_PARTIAL_FILE);
SAME(CURLE_PEER_FAILED_VERIFICATION);
SAME(CURLE_PROXY);
SAME(CURLE_RECV_ERROR);
SAME(CURLE_SEND_ERROR);
SAME(CURLE_SEND_FAIL_REWIND);
SAME(CURLE_SSL_CACERT_BADFILE);
SAME(CURLE_SSL_CERTPROBLEM);
SAME(CURLE_SSL_CONNECT_ERROR);
SAME(CURLE_UNSUPPORTED_PROTOCOL);
SAME(CURLE_URL_MALFORMAT);
SAME(CURLE_WEIRD_SERVER_REPLY);
SAME(CURL_HTTP_VERSION_2TLS);
_Static_assert(CCURL_ERROR_SIZE >= CURL_ERROR_SIZE, "CURL_ERROR_SIZE");
_Static_assert(CCURL_NO_SOCKET == CURL_SOCKET_BAD, "CURL_SOCKET_BAD");
_Static_assert(sizeof(curl_off_t) == sizeof(int64_t), "curl_off_t");

typedef enum ccurl_code code;
typedef enum ccurl_option option;

int ccurl_global_start(void) { return curl_global_init(CURL_GLOBAL_DEFAULT); }
ccurl_handle *ccurl_new(void) { return (ccurl_handle *)curl_easy_init(); }
void ccurl_free(ccurl_handle *handle) { curl_easy_cleanup((CURL *)handle); }
void ccurl_reset(ccurl_handle *handle) { curl_easy_reset((CURL *)handle); }

code ccurl_set_long(ccurl_handle *handle, option name, long value) {
  return (code)curl_easy_setopt((CURL *)handle, (CURLoption)name, value);
}
code ccurl_set_offset(ccurl_handle *handle, option name, int64_t value) {
  return (code)curl_easy_setopt((CURL *)handle, (CURLoption)name, (curl_off_t)value);
}
code ccurl_set_text(ccurl_handle *handle, option name, const char *value) {
  return (code)curl_easy_setopt((CURL *)handle, (CURLoption)name, value);
}
code ccurl_set_pointer(ccurl_handle *handle, option name, const void *value) {
  return (code)curl_easy_setopt((CURL *)handle, (CURLoption)name, value);
}
code ccurl_set_list(ccurl_handle *handle, option name, ccurl_list *value) {
  return (code)curl_easy_setopt((CURL *)handle, (CURLoption)name, (struct curl_slist *)value);
}
code ccurl_set_data_callback(ccurl_handle *handle, option name, ccurl_data_callback value) {
  return (code)curl_easy_setopt((CURL *)handle, (CURLoption)name, value);
}
code ccurl_set_progress_callback(ccurl_handle *handle, ccurl_progress_callback value) {
  return (code)curl_easy_setopt((CURL *)handle, CURLOPT_XFERINFOFUNCTION, value);
}
code ccurl_set_ready_callback(ccurl_handle *handle, ccurl_ready_callback value) {
  return (code)curl_easy_setopt((CURL *)handle, CURLOPT_PREREQFUNCTION, value);
}
code ccurl_set_open_callback(ccurl_handle *handle, ccurl_open_callback value) {
  return (code)curl_easy_setopt((CURL *)handle, CURLOPT_OPENSOCKETFUNCTION, value);
}
code ccurl_set_close_callback(ccurl_handle *handle, ccurl_close_callback value) {
  return (code)curl_easy_setopt((CURL *)handle, CURLOPT_CLOSESOCKETFUNCTION, value);
}

code ccurl_perform(ccurl_handle *handle) { return (code)curl_easy_perform((CURL *)handle); }
long ccurl_status(ccurl_handle *handle) {
  long status = 0;
  curl_easy_getinfo((CURL *)handle, CURLINFO_RESPONSE_CODE, &status);
  return status;
}
const char *ccurl_message(code number) { return curl_easy_strerror((CURLcode)number); }

code ccurl_send(ccurl_handle *handle, const void *bytes, size_t count, size_t *sent) {
  *sent = 0;
  return (code)curl_easy_send((CURL *)handle, bytes, count, sent);
}
code ccurl_receive(ccurl_handle *handle, void *buffer, size_t count, size_t *received) {
  *received = 0;
  return (code)curl_easy_recv((CURL *)handle, buffer, count, received);
}
int ccurl_socket(ccurl_handle *handle) {
  curl_socket_t found = CURL_SOCKET_BAD;
  if (curl_easy_getinfo((CURL *)handle, CURLINFO_ACTIVESOCKET, &found) != CURLE_OK) {
    return CURL_SOCKET_BAD;
  }
  return found;
}
int ccurl_connect_errno(ccurl_handle *handle) {
  long number = 0;
  curl_easy_getinfo((CURL *)handle, CURLINFO_OS_ERRNO, &number);
  return (int)number;
}

ccurl_list *ccurl_append(ccurl_list *list, const char *text) {
  return (ccurl_list *)curl_slist_append((struct curl_slist *)list, text);
}
void ccurl_free_list(ccurl_list *list) { curl_slist_free_all((struct curl_slist *)list); }

int ccurl_open_socket(const ccurl_address *address) {
  const struct curl_sockaddr *a = (const struct curl_sockaddr *)address;
  return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}
int ccurl_close_socket(int socket) { return close(socket); }
int ccurl_shut_down_socket(int socket) { return shutdown(socket, SHUT_RDWR); }
