#!/bin/bash
# Install the Debian packages that a purpose needs, after saying which and why.
#
#   install_packages.sh environment|test|browser|bench
#
# INSTALL=no, or not being root, installs nothing and says what will be missing.
# With CI set, a package that cannot be installed is an error.
set -euo pipefail

purpose=${1:?environment, test, browser or bench}
python=${PYTHON:-python3}
PATH=$PATH:/usr/sbin:/sbin
missing=()

# need PACKAGE REASON COMMAND...: the package is missing when the command fails.
need() {
  local package=$1 reason=$2
  shift 2
  "$@" >/dev/null 2>&1 && return
  missing+=("$package")
  printf '  %-24s %s\n' "$package" "$reason" >&2
}

perl_module() { perl -M"$1" -e 1; }
program() { command -v "$1"; }
samba_module() { compgen -G "/usr/lib/*/$1" || compgen -G "/usr/lib/*/*/$1"; }
postgres() { compgen -G '/usr/lib/postgresql/*/bin/initdb'; }
font() { compgen -G "/usr/share/fonts/truetype/$1*"; }
keycloak_zip() { compgen -G "$HOME/.m2/repository/org/keycloak/keycloak-quarkus-dist/*/*.zip"; }
maven_or_keycloak() { program mvn || keycloak_zip; }

browser_packages() {
  need chromium "the browser of the browser tests" program chromium
  need fonts-dejavu-core "letters for it" font dejavu
  need fonts-noto-core "letters of other scripts for it" font noto
  need fonts-vlgothic "Japanese letters for it" font vlgothic
}

lemonldap_packages() {
  need lemonldap-ng-fastcgi-server "$1" program llng-fastcgi-server
  need liblemonldap-ng-portal-perl "its portal" perl_module Lemonldap::NG::Portal
  need libstring-random-perl "for that portal: tokens" perl_module String::Random
  need libgd-securityimage-perl "for that portal" perl_module GD::SecurityImage
  need libgd-perl "for that portal" perl_module GD
}

test_packages() {
  need slapd "OpenLDAP, the directory" program slapd
  need 389-ds-base "389 Directory Server, another directory" program ns-slapd
  need ldap-utils "to look into it" program ldapsearch
  need samba "a domain controller of Active Directory" program samba
  need samba-ad-provision "what a new domain is made of" test -d /usr/share/samba/setup
  need samba-dsdb-modules "the rules of its database" samba_module ldb/samba_dsdb.so
  need samba-vfs-modules "its files, without which no domain is made" samba_module samba/vfs/acl_xattr.so
  need ldb-tools "to make its passwords old" program ldbmodify
  need postgresql "the database of larger installations" postgres
  need nginx-light "a proxy to stand beside" program nginx
  need libnginx-mod-http-lua "nginx as a native data plane" test -e /usr/lib/nginx/modules/ngx_http_lua_module.so
  need haproxy "another proxy, in front of guarded applications" program haproxy
  need apache2-bin "carries a SAML application" program apache2
  need libapache2-mod-auth-mellon "that application" test -e /usr/lib/apache2/modules/mod_auth_mellon.so
  lemonldap_packages "another identity provider"
  need libcrypt-openssl-bignum-perl "for that portal: its keys" perl_module Crypt::OpenSSL::Bignum
  need liblasso-perl "for that portal: SAML" perl_module Lasso
  need libxml-simple-perl "for that portal: SAML" perl_module XML::Simple
  need libxml-libxml-perl "for that portal: SAML" perl_module XML::LibXML
  need redis-server "a Redis of the agents' own, over TLS" program redis-server
  need oathtool "another generator of one-time passwords" program oathtool
  need nodejs "for the text message centre" program node
  need exim4-daemon-light "the mail server whose mail comes back" program exim4
  need kannel-extras "another, to count what a load of messages becomes" test -x /usr/lib/kannel/test/drive_smpp
  need npm "to fetch that one's package by its lock file" program npm
  need default-jre-headless "Java, for Keycloak" program java
  need maven "to fetch Keycloak by its coordinates" maven_or_keycloak
  browser_packages
}

bench_packages() {
  need nginx-light "the proxy that does least, and the upstream" program nginx
  need libnginx-mod-http-lua "our native data plane" test -e /usr/lib/nginx/modules/ngx_http_lua_module.so
  need apache2-bin "the proxy that many run" program apache2
  need libapache2-mod-auth-openidc "the way to guard an application that we compare with" \
    test -e /usr/lib/apache2/modules/mod_auth_openidc.so
  need wrk "makes the load" program wrk
  need slapd "the directory behind the portal that we compare with" program slapd
  lemonldap_packages "the portal that we compare with"
  need libnet-ldap-perl "for that portal: LDAP" perl_module Net::LDAP
  need libemail-sender-perl "for that portal: mail" perl_module Email::Sender::Simple
  need default-jre-headless "Java, for Keycloak" program java
  need maven "to fetch Keycloak by its coordinates" maven_or_keycloak
}

echo "System packages for '$purpose':" >&2
case $purpose in
  environment) need python3-venv "to make the environment" "$python" -c 'import ensurepip, venv' ;;
  test) test_packages ;;
  browser) browser_packages ;;
  bench) bench_packages ;;
  *) echo "unknown purpose: $purpose" >&2; exit 2 ;;
esac

if [ ${#missing[@]} -eq 0 ]; then
  echo "  all there" >&2
  exit 0
fi

# Nothing can be made without an environment; everything else may be skipped outside CI.
go_on_without() {
  echo "NOT INSTALLED ($1): ${missing[*]}" >&2
  if [ "$purpose" = environment ] || [ -n "${CI:-}" ]; then exit 1; fi
  echo "What needs them is skipped, and listed at the end of the run." >&2
  exit 0
}

[ "${INSTALL:-yes}" != no ] || go_on_without "INSTALL=no"
[ "$(id -u)" -eq 0 ] || go_on_without "not root; an administrator runs: apt-get install --no-install-recommends ${missing[*]}"
command -v apt-get >/dev/null || go_on_without "no apt-get"

# The tests start these servers themselves: Debian must neither start nor configure them.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap 'rm -f $policy' EXIT
  printf '#!/bin/sh\nexit 101\n' >$policy
  chmod +x $policy
fi
echo "slapd slapd/no_configuration boolean true" | debconf-set-selections

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq </dev/null
apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null || go_on_without "apt-get failed"
echo "Installed: ${missing[*]}" >&2
