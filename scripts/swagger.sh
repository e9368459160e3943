#!/bin/sh
# Replaces the files of Swagger UI that the package ships: scripts/swagger.sh VERSION
set -eu
version=$1
into=$(cd "$(dirname "$0")/../src/firstbyte/app/swagger" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm pack --silent "swagger-ui-dist@$version" >/dev/null
tar xzf ./*.tgz
for name in swagger-ui-bundle.js swagger-ui.css LICENSE NOTICE swagger-ui-bundle.js.LICENSE.txt; do
  cp "package/$name" "$into/$name"
done
sed -i "s/swagger-ui-dist [0-9.]*[0-9]/swagger-ui-dist $version/" "$into/README.md"
(cd "$into" && sha256sum swagger-ui-bundle.js swagger-ui.css >SHA256SUMS)
