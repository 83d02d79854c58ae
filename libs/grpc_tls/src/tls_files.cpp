#include "sesior/grpc_tls/tls_files.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>

namespace sesior::grpc_tls {

namespace {

template <auto free>
struct Freed {
  template <typename T>
  void operator()(T* thing) const {
    free(thing);
  }
};
using Bio = std::unique_ptr<BIO, Freed<BIO_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;

// OpenSSL would ask at the terminal.
int NoPassphrase(char*, int, int, void*) { return -1; }

class Look {
 public:
  explicit Look(std::vector<std::string>& problems) : problems_(problems) {}

  Certificate CertificateOf(const std::string& flag, const std::string& path) {
    const Bio file = Open(flag, path);
    if (!file) return nullptr;
    Certificate found(PEM_read_bio_X509(file.get(), nullptr, NoPassphrase, nullptr));
    if (!found) problems_.push_back(flag + ": " + path + " holds no certificate in PEM form");
    return found;
  }

  Key KeyOf(const std::string& flag, const std::string& path) {
    const Bio file = Open(flag, path);
    if (!file) return nullptr;
    Key found(PEM_read_bio_PrivateKey(file.get(), nullptr, NoPassphrase, nullptr));
    if (!found) problems_.push_back(flag + ": " + path + " holds no private key in PEM form without a passphrase");
    return found;
  }

 private:
  Bio Open(const std::string& flag, const std::string& path) {
    Bio file(BIO_new_file(path.c_str(), "r"));
    if (!file) problems_.push_back(flag + ": cannot read " + path);
    return file;
  }

  std::vector<std::string>& problems_;
};

}  // namespace

std::vector<std::string> Problems(const TlsFiles& files, const std::string& flag, const std::string& ca_flag) {
  std::vector<std::string> problems;
  Look look(problems);
  const std::string cert_flag = "--" + flag + "-cert";
  const std::string key_flag = "--" + flag + "-key";
  const Certificate cert = files.cert.empty() ? nullptr : look.CertificateOf(cert_flag, files.cert);
  const Key key = files.key.empty() ? nullptr : look.KeyOf(key_flag, files.key);
  if (files.cert.empty() != files.key.empty()) {
    problems.push_back(files.cert.empty() ? cert_flag + ": needed with " + key_flag
                                          : key_flag + ": needed with " + cert_flag);
  }
  if (cert && key && X509_check_private_key(cert.get(), key.get()) != 1) {
    problems.push_back(key_flag + ": does not belong to the certificate in " + cert_flag);
  }
  if (!files.ca.empty()) look.CertificateOf("--" + ca_flag, files.ca);
  ERR_clear_error();
  return problems;
}

}  // namespace sesior::grpc_tls
